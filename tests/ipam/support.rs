//! Networks to test on, and short names.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use ipip_core::datastore::{Commit, Memory, Store};
use ipip_core::ipam::{Ambient, Ipam, IpamError, IpamErrorKind};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::{Attribute, Pool};

pub(crate) const CLAIM: &str = "/calico/ipam/v2/host/node1/ipv4/block/192.168.166.128-26";
pub(crate) const BLOCK: &str = "/calico/ipam/v2/assignment/ipv4/block/192.168.166.128-26";

/// A network on a memory store, with a clock that stands still.
pub(crate) struct Network {
    pub(crate) store: Arc<Memory>,
    pub(crate) ipam: Ipam,
}

/// A network with pools of the given prefixes, named `pool-0`, `pool-1`, …, in blocks of `len` bits.
pub(crate) fn network(pools: &[&str], len: u8) -> Network {
    let store = Arc::new(Memory::new());
    let ambient = Ambient::system()
        .with_clock(|| UNIX_EPOCH + Duration::new(1_787_405_600, 123_456_789))
        .with_random(|| 0)
        .with_pause(|_| ());
    let ipam = Ipam::new(Arc::<Memory>::clone(&store), ambient);
    for (number, cidr) in pools.iter().enumerate() {
        let pool = Pool::try_new(&format!("pool-{number}"), cidr.parse().unwrap(), len);
        ipam.create_pool(&pool.unwrap()).unwrap();
    }
    Network { store, ipam }
}

/// Seconds that have passed.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn wait(&self, seconds: u64) {
        self.0.fetch_add(seconds, Relaxed);
    }
}

/// The same network, with a clock that can be moved.
pub(crate) fn timed(pools: &[&str], len: u8) -> (Network, Clock) {
    let Network { store, .. } = network(pools, len);
    let clock = Clock::default();
    let passed = Arc::clone(&clock.0);
    let ambient = Ambient::system()
        .with_clock(move || UNIX_EPOCH + Duration::from_secs(1_787_405_600 + passed.load(Relaxed)))
        .with_pause(|_| ());
    let ipam = Ipam::new(Arc::<Memory>::clone(&store), ambient);
    (Network { store, ipam }, clock)
}

impl Network {
    /// Every record as text, without pools and without what stands for nodes as owners of blocks.
    pub(crate) fn records(&self) -> Vec<(String, String)> {
        let records = self.store.list("/calico/ipam/").unwrap().entries;
        let node = |key: &str| {
            let rest = key.strip_prefix("/calico/ipam/v2/host/");
            rest.is_some_and(|rest| !rest.contains('/'))
        };
        let others = records.into_iter().filter(|record| !node(&record.key));
        others
            .map(|r| (r.key, String::from_utf8(r.value.to_vec()).unwrap()))
            .collect()
    }

    pub(crate) fn put(&self, key: &str, value: &str) {
        let mut commit = Commit::new();
        commit.put(key, value.as_bytes().to_vec());
        assert!(format!("{:?}", self.store.commit(commit).unwrap()).starts_with("Committed"));
    }

    pub(crate) fn delete(&self, key: &str) {
        let mut commit = Commit::new();
        commit.delete(key);
        assert!(format!("{:?}", self.store.commit(commit).unwrap()).starts_with("Committed"));
    }

    pub(crate) fn value(&self, key: &str) -> Option<String> {
        let record = self.store.get(key).unwrap()?;
        Some(String::from_utf8(record.value.to_vec()).unwrap())
    }

    /// The call fails with this message and kind and leaves every record as it was.
    pub(crate) fn refuses<T: std::fmt::Debug>(
        &self,
        call: impl FnOnce(&Ipam) -> Result<T, IpamError>,
        kind: IpamErrorKind,
        message: &str,
    ) {
        let before = self.store.list("/calico/").unwrap();
        let error = call(&self.ipam).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.kind(), kind, "{message}");
        assert_eq!(self.store.list("/calico/").unwrap(), before, "{message}");
    }
}

pub(crate) fn node(text: &str) -> NodeName {
    NodeName::try_new(text).unwrap()
}

pub(crate) fn handle(text: &str) -> HandleId {
    HandleId::try_new(text).unwrap()
}

pub(crate) fn owner(text: &str) -> Attribute {
    Attribute::new(Some(handle(text)))
}

pub(crate) fn addr(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}
