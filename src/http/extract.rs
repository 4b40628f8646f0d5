//! What the extractors of this crate have in common.

use salvo::extract::Metadata;

/// The metadata that salvo's derive would describe. Our extractors read the request themselves.
pub(super) fn no_metadata() -> &'static Metadata {
    static NONE: Metadata = Metadata::new("");
    &NONE
}

/// Makes a type an argument of handlers: `from_request` reads it, `document` describes it in the OpenAPI document.
macro_rules! extractor {
    ($type:ident) => {
        $crate::http::extract::extractor!([] $type);
    };
    ([$($generics:tt)*] $type:ty) => {
        impl<'ex, $($generics)*> salvo::Extractible<'ex> for $type {
            fn metadata() -> &'static salvo::extract::Metadata {
                $crate::http::extract::no_metadata()
            }

            async fn extract(
                req: &'ex mut salvo::Request,
                depot: &'ex mut salvo::Depot,
            ) -> Result<Self, impl salvo::Writer + Send + std::fmt::Debug + 'static> {
                Self::from_request(req, depot).await
            }
        }

        impl<$($generics)*> salvo::oapi::EndpointArgRegister for $type {
            fn register(
                components: &mut salvo::oapi::Components,
                operation: &mut salvo::oapi::Operation,
                _arg: &str,
            ) {
                Self::document(components, operation);
            }
        }
    };
}

pub(crate) use extractor;
