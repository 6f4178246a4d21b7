//! The image of one boot, and what it is booted with.

use std::future::Future;
use std::sync::OnceLock;

use pixelrts_shared::boot_decision::{
    BootDefaults, BootSettings, HostLimits, ImageWishes, LEAST_MEMORY, Wish, Wisher, decide,
};
use pixelrts_shared::machine::{BootRequest, Net};
use pixelrts_shared::size::Size;
use pixelrts_shared::{Digest, Problem};

use crate::cache::Store;
use crate::catalog::{ImageFile, Personal};
use crate::image::Metadata;
use crate::machine::{BootOptions, HostFacts, command_line_of};
use crate::task::blocking;

/// Supplies the image of one boot, the first time and after wrong bytes.
#[derive(Debug)]
pub struct Supply<F> {
    request: BootRequest,
    defaults: BootOptions,
    store: Store,
    personal: Personal,
    /// Finds the image, and fetches it when it is not here.
    obtain: F,
    /// Known from the first time on.
    digest: OnceLock<Digest>,
}

impl<F, I> Supply<F>
where
    F: Fn() -> I,
    I: Future<Output = Result<ImageFile, Problem>>,
{
    pub fn new(request: BootRequest, defaults: BootOptions, store: Store, obtain: F) -> Self {
        Self { request, defaults, store, personal: Personal::default(), obtain, digest: OnceLock::new() }
    }

    /// Notes there when which image is booted.
    pub fn noted_in(self, personal: Personal) -> Self {
        Self { personal, ..self }
    }

    /// The image, and the options that are decided with it. `wrong_bytes` is what a machine found in the one that was
    /// supplied before.
    pub async fn image(&self, wrong_bytes: Option<Problem>) -> Result<(ImageFile, BootOptions), Problem> {
        let mut file = match wrong_bytes {
            None => (self.obtain)().await?,
            Some(problem) => self.replacement(problem).await?,
        };
        if let Some(digest) = file.digest() {
            self.digest.get_or_init(|| digest);
            let (store, personal) = (self.store.clone(), self.personal.clone());
            blocking(move || {
                store.booted(&digest);
                personal.booted(&digest);
            })
            .await;
        }
        // A file that cannot be read is the machine's to refuse: it says where the damage is.
        let own = file.describe().await.unwrap_or_default();
        let wishes = wishes_of(own).or(file.wishes.clone());
        let host = HostFacts::gather();
        let mut options = options(&self.request, &wishes, &self.defaults, &host);
        options.notes.extend(file.note.clone());
        options.check(&host)?;
        Ok((file, options))
    }

    /// Only a damaged file of the cache can be replaced. What its digest promises is as it should be, and another copy
    /// would have the same wrong bytes.
    async fn replacement(&self, problem: Problem) -> Result<ImageFile, Problem> {
        let Some(digest) = self.digest.get().copied() else { return Err(problem) };
        let store = self.store.clone();
        if !blocking(move || store.heal(&digest)).await? {
            return Err(problem);
        }
        (self.obtain)().await.map_err(|error| Problem {
            fix: "The damaged file was removed. Start the image again when one of its servers answers.".to_owned(),
            context: Some(format!("{} {}", error.what, error.why)),
            ..problem
        })
    }
}

/// What the rule must know: the defaults of the configuration, and what this computer has.
pub(super) fn settings(defaults: &BootOptions, host: &HostFacts) -> BootSettings {
    BootSettings {
        defaults: BootDefaults {
            memory: defaults.memory,
            cpus: defaults.cpus,
            net: defaults.net,
            cmdline: command_line_of(&host.architecture),
        },
        limits: HostLimits { memory: Size::from_mebibytes(host.memory >> 20), cpus: host.cpus },
    }
}

/// Decides what a machine is booted with. What the rule does not cover is as in `defaults`.
pub(super) fn options(
    request: &BootRequest,
    image: &ImageWishes,
    defaults: &BootOptions,
    host: &HostFacts,
) -> BootOptions {
    let decision = decide(request, image, &settings(defaults, host));
    BootOptions {
        memory: decision.memory,
        cpus: decision.cpus,
        net: decision.net,
        cmdline: request.cmdline.clone(),
        append: request.append.clone(),
        notes: decision.notes.iter().map(ToString::to_string).collect(),
        ..defaults.clone()
    }
}

/// Refuses what a person requests and no machine can have, before anything is fetched.
pub fn check_request(request: &BootRequest) -> Result<(), Problem> {
    let asked = BootOptions {
        memory: request.memory.unwrap_or(LEAST_MEMORY),
        cpus: request.cpus.unwrap_or(1),
        net: request.net.unwrap_or(Net::None),
        ..BootOptions::default()
    };
    Ok(asked.check(&HostFacts::gather())?)
}

fn wishes_of(metadata: Metadata) -> ImageWishes {
    let said = |said| Wish::of(said, Wisher::Image);
    ImageWishes { memory: said(metadata.memory), cpus: said(metadata.cpus), net: said(metadata.net) }
}
