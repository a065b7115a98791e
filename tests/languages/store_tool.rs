//! What `store_tool.c` does, in Rust: one step on a store in a file, for tests/python/test_languages.py.
//!
//!   store_tool FILE pool | assign NODE HANDLE | release HANDLE | export LINES | import LINES

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Write};
use std::sync::Arc;

use ipip_core::datastore::{self, ImportOptions, Sqlite, SqliteOptions};
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::{Attribute, Pool};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [file, step @ ..] = words.as_slice() else {
        return Err("no file".into());
    };
    let store = Arc::new(Sqlite::open(file, SqliteOptions::default())?);
    let ipam = Ipam::new(Arc::<Sqlite>::clone(&store), Ambient::system());
    match *step {
        ["pool"] => ipam.create_pool(&Pool::try_new("pods", "10.244.0.0/24".parse()?, 26)?)?,
        ["assign", node, handle] => {
            let owner = Attribute::new(Some(HandleId::try_new(handle)?)).with("pod", handle);
            let assigned = ipam.assign_any(&NodeName::try_new(node)?, &owner)?;
            println!("{}", assigned.addr);
        }
        ["release", handle] => {
            ipam.release_handle(&HandleId::try_new(handle)?)?;
        }
        ["export", lines] => {
            let mut to = File::create(lines)?;
            datastore::export(&*store, &mut to)?;
            to.flush()?;
        }
        ["import", lines] => {
            let from = BufReader::new(File::open(lines)?);
            datastore::import(&*store, from, ImportOptions::default())?;
        }
        _ => return Err(format!("no step {step:?}").into()),
    }
    Ok(())
}
