//! Types that several ranks share: what a module needs, a module that may be missing, when something is restarted.

pub mod manifest;
pub mod module;
pub mod restart;

/// Adds an element to a distributed slice: what is declared beside its code is found without a list of all.
macro_rules! declare {
    ($slice:path, $type:ty, $value:expr) => {
        const _: () = {
            #[linkme::distributed_slice($slice)]
            #[expect(unsafe_code, reason = "an element of a distributed slice has a link section of its own")]
            static DECLARED: $type = $value;
        };
    };
}
pub(crate) use declare;
