//! What only the file system can say about the settings. Nothing is made: a configuration file is the user's own, and all
//! settings have defaults.

use pixelrts_shared::Problem;

use super::{BootstrapError, Finding, Handler, Rule, Site, handler};

struct Configuration;

handler!(Configuration);

impl Handler for Configuration {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn priority(&self) -> u32 {
        20
    }

    fn rule(&self) -> Rule {
        Rule::Required
    }

    fn should_run(&self, _: &Site) -> Result<bool, Problem> {
        Ok(false)
    }

    fn execute(&self, _: &Site) -> Result<Vec<String>, Problem> {
        Ok(Vec::new())
    }

    fn findings(&self, site: &Site) -> Vec<Finding> {
        // The scan reports a folder that cannot be read.
        let missing = site.folders.iter().filter(|path| !path.exists()).cloned();
        let missing = missing.map(|path| BootstrapError::FolderMissing { path });
        missing.map(|error| Finding { module: "catalog", problem: error.into() }).collect()
    }
}
