//! Makes the index of the cache and its directories agree with the files that exist.

use pixelrts_shared::Problem;

use super::{Handler, Rule, Site, handler};
use crate::cache::Store;
use crate::database::Database;

struct Cache;

handler!(Cache);

impl Handler for Cache {
    fn name(&self) -> &'static str {
        "cache"
    }

    fn priority(&self) -> u32 {
        40
    }

    fn rule(&self) -> Rule {
        Rule::Degrading("cache")
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        Ok(site.has_databases() && !store(site)?.orphans()?.is_empty())
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        let store = store(site)?;
        let orphans = store.orphans()?;
        store.remove_orphans(&orphans)?;
        let rows = orphans.rows.iter().map(|digest| format!("forgot {digest}, which is not there any more"));
        let partials = orphans.partials.iter().map(|key| format!("removed the download {key}, which has no byte"));
        Ok(rows.chain(partials).collect())
    }
}

fn store(site: &Site) -> Result<Store, Problem> {
    let index = Database::open(&site.paths.database(crate::cache::SCHEMA.name))?;
    Ok(Store::new(&site.paths, index))
}
