//! Boots that the backend's API is asked for.

use std::sync::Arc;

use pixelrts_shared::address::ShownAddress;
use pixelrts_shared::boot_decision::{BootSettings, ImageWishes};
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::machine::BootRequest;
use pixelrts_shared::{Digest, MachineId, Problem, ServerId};
use tokio::sync::watch;

use super::supply::{Supply, options, settings};
use crate::catalog::{CheckedFile, ImageFile, ImageRef, Library};
use crate::machine::{BootOptions, Expected, Fetched, Fleet, HostFacts, Launch};
use crate::policy::module::Module;
use crate::remote::{FetchRequest, shown};

/// Starts machines from entries and addresses. Clones share everything.
#[derive(Clone, Debug)]
pub struct BootService {
    library: Library,
    machines: Module<Fleet>,
    /// What a machine gets when neither the request nor the image says anything; it follows the configuration.
    defaults: watch::Receiver<BootOptions>,
}

impl BootService {
    #[must_use]
    pub fn new(library: Library, machines: Module<Fleet>, defaults: watch::Receiver<BootOptions>) -> Self {
        Self { library, machines, defaults }
    }

    /// Defaults and limits, for whoever shows a person what a machine would get.
    #[must_use]
    pub fn settings(&self) -> BootSettings {
        settings(&self.defaults.borrow(), &HostFacts::gather())
    }

    /// Changes when the defaults do.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<BootOptions> {
        self.defaults.clone()
    }

    /// Starts a machine from an entry or an address, and returns at once: an image that is not here is fetched first. Only
    /// soon after the backend's start, this waits until it is known which entries there are.
    pub async fn boot(&self, source: &str, request: BootRequest) -> Result<MachineId, Problem> {
        let fleet = self.machines.get()?;
        let target = Target::find(source, request.server.as_ref(), &self.library).await?;
        let defaults = self.defaults.borrow().clone();
        // As far as they are known now: the image itself may ask for something, too.
        let expected = options(&request, &target.wishes(), &defaults, &HostFacts::gather());
        let launch = Launch { key: target.key(), name: target.name().to_owned(), options: expected };
        let library = self.library.clone();
        let (store, personal) = (library.store.clone(), library.personal());
        let obtain = move || target.clone().obtain(library.clone());
        let supply = Arc::new(Supply::new(request, defaults, store, obtain).noted_in(personal));
        let expected_key = launch.key;
        fleet.launch(launch, move |wrong_bytes| {
            let supply = Arc::clone(&supply);
            let first = wrong_bytes.is_none();
            async move {
                let (file, options) = supply.image(wrong_bytes).await?;
                for note in options.notes.iter().filter(|_| first) {
                    tracing::warn!(image = file.name, "{note}");
                }
                let (key, path) = (file.digest().unwrap_or(expected_key), file.path().to_owned());
                Ok(Fetched { key, path, expected: Expected::of(file.index(), file.digest()), options })
            }
        })
    }

    /// Stops all machines of an entry.
    pub async fn stop_entry(&self, key: &str, server: Option<&ServerId>) -> Result<(), Problem> {
        let digest = self.library.find(key, server).await?.entry.sha256;
        let fleet = self.machines.get()?;
        for machine in fleet.list().into_iter().filter(|machine| machine.key == digest && !machine.state.is_over()) {
            fleet.stop(&machine.id).await?;
        }
        Ok(())
    }
}

/// What is to be booted.
#[derive(Clone, Debug)]
enum Target {
    /// Nobody knows its digest yet.
    Address {
        wanted: FetchRequest,
        address: ShownAddress,
    },
    Entry {
        entry: Box<MergedEntry>,
        server: Option<ServerId>,
    },
}

impl Target {
    async fn find(source: &str, server: Option<&ServerId>, library: &Library) -> Result<Self, Problem> {
        if let ImageRef::Address(wanted) = ImageRef::parse(source) {
            let address = wanted.mirrors.first().map_or_else(|| ShownAddress::new(source), |mirror| shown(&mirror.url));
            return Ok(Self::Address { wanted, address });
        }
        // A path is not special here: the files of this computer are the user's at the command line only.
        let entry = Box::new(library.find(source, server).await?);
        Ok(Self::Entry { entry, server: server.cloned() })
    }

    /// Until the image is here, a machine goes by the key of its address.
    fn key(&self) -> Digest {
        match self {
            Self::Address { wanted, .. } => wanted.key,
            Self::Entry { entry, .. } => entry.entry.sha256,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Address { address, .. } => address.as_str(),
            Self::Entry { entry, .. } => &entry.entry.name,
        }
    }

    fn wishes(&self) -> ImageWishes {
        match self {
            Self::Address { .. } => ImageWishes::default(),
            Self::Entry { entry, .. } => entry.wishes(),
        }
    }

    /// Its file, which is fetched when it is not here.
    async fn obtain(self, library: Library) -> Result<ImageFile, Problem> {
        match self {
            Self::Address { wanted, address } => {
                let interest = library.remote.get()?.downloads.join(wanted);
                let file = CheckedFile::of_cache(interest.outcome().await?).await?;
                Ok(ImageFile::checked(file, address.to_string()).with_note(interest.note()))
            }
            Self::Entry { entry, server } => {
                Ok(ImageFile::of_entry(library.obtain(&entry.entry, server.as_ref()).await?, &entry))
            }
        }
    }
}
