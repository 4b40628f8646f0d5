//! The macros that turn an async function into tests, and the frame in which each test runs.

use std::pin::Pin;

use super::{Profile, TestApp};

/// A test's function. It gets a service of its own and panics when an assertion fails.
pub(crate) type TestBody = for<'a> fn(&'a TestApp) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Makes two tests, `…::embedded` and `…::production`, of each function. Settings after `with` apply to that function
/// alone. The compiler reports a function that is not listed as dead code.
///
/// ```ignore
/// tests_on_both_profiles! {
///     a_suspended_user_cannot_log_in,
///     without_a_grace_period_a_used_successor_is_final with [("REFRESH_REUSE_GRACE_SECONDS", "0")],
/// }
///
/// async fn a_suspended_user_cannot_log_in(app: &TestApp) { … }
/// ```
macro_rules! tests_on_both_profiles {
    ($($test:ident $(with $settings:expr)?),* $(,)?) => {
        $(mod $test {
            #[test]
            fn embedded() {
                crate::harness::run_test(crate::harness::Profile::Embedded, &[$($settings.as_slice())?], |app| Box::pin(super::$test(app)));
            }

            #[test]
            fn production() {
                crate::harness::run_test(crate::harness::Profile::Production, &[$($settings.as_slice())?], |app| Box::pin(super::$test(app)));
            }
        })*
    };
}
pub(crate) use tests_on_both_profiles;

/// Makes one test, `…::production`, of each function: for what needs several nodes or a server that can fail.
macro_rules! tests_on_production {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            #[test]
            fn production() {
                crate::harness::run_test(crate::harness::Profile::Production, &[], |app| Box::pin(super::$test(app)));
            }
        })*
    };
}
pub(crate) use tests_on_production;

/// Starts a service, runs the test, and checks what must hold at the end of every test.
pub(crate) fn run_test(profile: Profile, settings: &[&[(&str, &str)]], test: TestBody) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads").block_on(async {
        let app = TestApp::start(profile, &settings.concat()).await;
        test(&app).await;
        app.finish().await;
    });
}
