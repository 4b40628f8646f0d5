//! How a story is told.

use std::pin::Pin;

use super::{Profile, TestApp};

/// A story: it gets a service of its own and panics where it does not go as it should.
pub(crate) type Story = for<'a> fn(&'a TestApp) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The stories of a file, each of them two tests, `…::embedded` and `…::production`; with settings of their own where
/// they need some. A story that is not listed is dead code, which the compiler tells.
///
/// ```ignore
/// stories! {
///     a_suspended_user_cannot_log_in,
///     without_grace_a_used_successor_is_final with [("REFRESH_REUSE_GRACE_SECONDS", "0")],
/// }
///
/// async fn a_suspended_user_cannot_log_in(app: &TestApp) { … }
/// ```
macro_rules! stories {
    ($($story:ident $(with $settings:expr)?),* $(,)?) => {
        $(mod $story {
            #[test]
            fn embedded() {
                crate::harness::tell(crate::harness::Profile::Embedded, &[$($settings.as_slice())?], |app| Box::pin(super::$story(app)));
            }

            #[test]
            fn production() {
                crate::harness::tell(crate::harness::Profile::Production, &[$($settings.as_slice())?], |app| Box::pin(super::$story(app)));
            }
        })*
    };
}
pub(crate) use stories;

/// Starts a service, tells the story, and looks whether all ended well.
pub(crate) fn tell(profile: Profile, settings: &[&[(&str, &str)]], story: Story) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads").block_on(async {
        let app = TestApp::start(profile, &settings.concat()).await;
        story(&app).await;
        app.finish().await;
    });
}
