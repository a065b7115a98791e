//! Pools and reservations from their creation to their end.

use std::sync::Arc;

use ipip_core::datastore::{Store, key};
use ipip_core::ipam::{IpamErrorKind, Request};
use ipip_core::resource::{Attribute, IpipMode, Pool, Release, Reservation, Selector, Use};

use crate::lost::same_however_lost;
use crate::race::raced;
use crate::support::{addr, handle, network, node, owner};

fn pool(name: &str, cidr: &str) -> Pool {
    Pool::try_new(name, cidr.parse().unwrap(), 29).unwrap()
}

#[test]
fn of_two_overlapping_pools_created_at_once_one_lands() {
    for (cidr, lands) in [("10.1.0.0/16", false), ("10.2.0.0/16", true)] {
        let (ipam, _) = raced(
            |_, _| (),
            |ipam, _| ipam.create_pool(&pool("first", "10.1.4.0/24")).unwrap(),
        );
        let created = ipam.create_pool(&pool("second", cidr));
        assert_eq!(created.is_ok(), lands, "{created:?}");
        assert_eq!(ipam.pools().unwrap().len(), 2 + usize::from(lands));
    }
    // In a store without any pool there is nothing else that both could compare.
    let net = network(&[], 26);
    let both = std::thread::scope(|scope| {
        ["a", "b"]
            .map(|name| {
                let ipam = net.ipam.clone();
                scope.spawn(move || ipam.create_pool(&pool(name, "10.1.0.0/16")).is_ok())
            })
            .map(|thread| thread.join().unwrap())
    });
    assert_ne!(both[0], both[1]);
    assert!(net.ipam.check().unwrap().is_clean());
}

#[test]
fn what_serialises_the_creation_is_in_no_list_of_calicos() {
    let net = network(&["10.0.0.0/24"], 26);
    let key = key::pool_creation();
    assert_eq!(net.value(key).as_deref(), Some("{}"));
    for prefix in [
        key::pool_prefix(),
        key::node_prefix(),
        key::reservation_prefix(),
        key::ipam_prefix(),
    ] {
        assert!(!key.starts_with(prefix), "{prefix}");
    }
}

#[test]
fn a_pool_is_updated_field_by_field_and_keeps_the_rest() {
    let net = network(&["10.0.0.0/24"], 26);
    let key = key::pool("pool-0");
    let stored = net.value(&key).unwrap();
    net.put(
        &key,
        &stored.replace(r#""spec":{"#, r#""spec":{"later":1.50,"#),
    );
    let wanted = Pool::try_new("pool-0", "10.0.0.0/24".parse().unwrap(), 26)
        .unwrap()
        .with_ipip_mode(IpipMode::CrossSubnet)
        .with_nat_outgoing(true)
        .with_node_selector(Selector::parse("zone == 'west'").unwrap())
        .with_allowed_uses(&[Use::Tunnel]);
    let updated = net.ipam.update_pool(&wanted).unwrap();
    assert_eq!(net.ipam.pools().unwrap(), [updated]);
    let text = net.value(&key).unwrap();
    for part in [
        r#""uid":"00000000-0000-4000-8000-000000000000""#,
        r#""ipipMode":"CrossSubnet","natOutgoing":true"#,
        r#""nodeSelector":"zone == 'west'""#,
        r#""allowedUses":["Tunnel"]"#,
        r#""later":1.50"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let revision = net.store.get(&key).unwrap().unwrap().revision;
    net.ipam.update_pool(&wanted).unwrap();
    net.ipam.enable_pool("pool-0").unwrap();
    let after = net.store.get(&key).unwrap().unwrap().revision;
    assert_eq!(after, revision, "nothing is written where nothing changes");
}

#[test]
fn what_a_pool_may_not_become_is_refused_with_the_reason() {
    let net = network(&["10.0.0.0/24"], 26);
    let of = |cidr: &str, len| Pool::try_new("pool-0", cidr.parse().unwrap(), len).unwrap();
    for (wanted, message) in [
        (
            of("10.0.0.0/24", 27),
            "pool pool-0: block size /26 cannot become /27: new blocks would overlap those in use; create another pool and delete this one",
        ),
        (
            of("10.0.0.0/25", 26),
            "pool pool-0: 10.0.0.0/24 cannot become 10.0.0.0/25: blocks and addresses in use would be in no pool; create another pool and delete this one",
        ),
    ] {
        net.refuses(
            |ipam| ipam.update_pool(&wanted),
            IpamErrorKind::Invalid,
            message,
        );
    }
    let missing = "there is no pool named none";
    let none = pool("none", "10.9.0.0/24");
    net.refuses(
        |ipam| ipam.update_pool(&none),
        IpamErrorKind::NotFound,
        missing,
    );
    net.refuses(
        |ipam| ipam.disable_pool("none"),
        IpamErrorKind::NotFound,
        missing,
    );
    net.refuses(
        |ipam| ipam.delete_pool("none"),
        IpamErrorKind::NotFound,
        missing,
    );
}

#[test]
fn a_disabled_pool_gives_nothing_and_takes_back() {
    let net = network(&["10.0.0.0/24"], 26);
    let assigned = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    net.ipam.disable_pool("pool-0").unwrap();
    let none = "there is no enabled pool for this node and use";
    net.refuses(
        |ipam| ipam.assign_any(&node("a"), &owner("g")),
        IpamErrorKind::Exhausted,
        none,
    );
    net.ipam.release(&Release::of(assigned.addr)).unwrap();
    net.ipam.enable_pool("pool-0").unwrap();
    net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
}

#[test]
fn deleting_a_pool_tells_what_becomes_of_its_blocks() {
    let net = network(&["10.0.0.0/24", "10.1.0.0/24"], 26);
    let claim = |node_name: &str, block: &str| {
        net.ipam
            .claim(&node(node_name), block.parse().unwrap())
            .unwrap();
    };
    claim("a", "10.0.0.0/26");
    claim("b", "10.0.0.64/26");
    claim("b", "10.1.0.0/26");
    let at = |at: &str, who: &Attribute| net.ipam.assign(&node("a"), addr(at), who).unwrap();
    at("10.0.0.65", &owner("h"));
    at("10.0.0.64", &Attribute::default());
    at("10.1.0.9", &owner("h"));
    // A claim that Calico left without a block, and one of a virtual owner.
    net.put(
        "/calico/ipam/v2/host/c/ipv4/block/10.0.0.128-26",
        r#"{"state":"pending"}"#,
    );
    let virtual_claim = "/calico/ipam/v2/virtual/lb/ipv4/block/10.0.0.192-26";
    net.put(virtual_claim, "");
    let block = net
        .value(&key::block("10.0.0.0/26".parse().unwrap()))
        .unwrap();
    net.put(
        &key::block("10.0.0.192/26".parse().unwrap()),
        &block
            .replace("10.0.0.0/26", "10.0.0.192/26")
            .replace("host:a", "virtual:lb"),
    );
    let deletion = net.ipam.delete_pool("pool-0").unwrap();
    let text = |networks: &[ipnetwork::Ipv4Network]| -> Vec<String> {
        networks.iter().map(ToString::to_string).collect()
    };
    assert_eq!(text(&deletion.deleted), ["10.0.0.0/26", "10.0.0.192/26"]);
    assert_eq!(text(&deletion.orphaned), ["10.0.0.64/26"]);
    let remaining: Vec<_> = deletion
        .remaining
        .iter()
        .map(|one| (one.addr.to_string(), one.handle.as_deref()))
        .collect();
    assert_eq!(
        remaining,
        [
            ("10.0.0.64".to_owned(), None),
            ("10.0.0.65".to_owned(), Some("h"))
        ]
    );
    let claims = net
        .store
        .list_keys("/calico/ipam/v2/host/")
        .unwrap()
        .entries;
    let claims: Vec<_> = claims
        .iter()
        .filter(|key| key.contains("/block/"))
        .collect();
    assert_eq!(claims, ["/calico/ipam/v2/host/b/ipv4/block/10.1.0.0-26"]);
    assert_eq!(net.value(virtual_claim), None);
    assert_eq!(net.ipam.pools().unwrap().len(), 1);

    // A later pool does not assign what is in use; the block ends with its last address.
    net.ipam
        .create_pool(&Pool::try_new("again", "10.0.0.0/24".parse().unwrap(), 26).unwrap())
        .unwrap();
    let request = Request {
        pools: vec!["10.0.0.0/24".parse().unwrap()],
        ..Request::new(node("c"), 256, Attribute::default())
    };
    assert_eq!(net.ipam.assign_many(&request).unwrap().assigned.len(), 254);
    assert_eq!(net.ipam.release_handle(&handle("h")).unwrap().len(), 2);
}

#[test]
fn deleting_a_pool_goes_on_where_it_was_stopped() {
    let net = network(&["10.0.0.0/24"], 26);
    net.ipam
        .claim(&node("a"), "10.0.0.0/26".parse().unwrap())
        .unwrap();
    net.ipam
        .claim(&node("a"), "10.0.0.64/26".parse().unwrap())
        .unwrap();
    // As a crash after the first block leaves it.
    net.ipam.disable_pool("pool-0").unwrap();
    net.ipam
        .release_block(&node("a"), "10.0.0.0/26".parse().unwrap())
        .unwrap();
    let deletion = net.ipam.delete_pool("pool-0").unwrap();
    assert_eq!(deletion.deleted.len(), 1);
    assert_eq!(net.records(), []);
    assert_eq!(net.ipam.pools().unwrap(), []);
}

#[test]
fn a_pool_with_a_damaged_block_stays_as_it_was() {
    let net = network(&["10.0.0.0/24"], 26);
    net.ipam
        .claim(&node("a"), "10.0.0.64/26".parse().unwrap())
        .unwrap();
    let block = "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-26";
    net.put(block, r#"{"cidr":7}"#);
    let before = net.store.list("/").unwrap();
    let error = net.ipam.delete_pool("pool-0").unwrap_err();
    assert_eq!(error.kind(), IpamErrorKind::Damaged);
    assert!(error.to_string().contains(block), "{error}");
    assert_eq!(net.store.list("/").unwrap(), before);
}

#[test]
fn nothing_is_claimed_in_a_pool_that_is_being_deleted() {
    let (ipam, store) = raced(
        |_, _| (),
        |ipam, _| assert_eq!(ipam.delete_pool("p").unwrap().deleted.len(), 0),
    );
    assert!(ipam.claim_any(&node("a")).is_err());
    assert_eq!(
        store.list_keys(key::block_prefix()).unwrap().entries.len(),
        0
    );
    // A block that Calico claimed while its pool was being disabled goes too.
    let (ipam, store) = raced(
        |_, _| (),
        |_, store| {
            let ipam = ipip_core::ipam::Ipam::new(
                Arc::new(ipip_core::datastore::Memory::new()),
                ipip_core::ipam::Ambient::system(),
            );
            ipam.create_pool(&pool("p", "10.0.0.0/28")).unwrap();
            ipam.claim_any(&node("late")).unwrap();
            let blocks = ipam.blocks().unwrap();
            let key = key::block(blocks[0].prefix().into());
            let mut commit = ipip_core::datastore::Commit::new();
            commit.put(&key, blocks[0].to_json());
            let _ = store.commit(commit).unwrap();
        },
    );
    assert_eq!(ipam.delete_pool("p").unwrap().deleted.len(), 1);
    assert_eq!(
        store.list_keys(key::block_prefix()).unwrap().entries.len(),
        0
    );
}

#[test]
fn reservations_are_created_listed_and_deleted() {
    let net = network(&["10.0.0.0/29"], 29);
    let first = Reservation::try_new("r", &["10.0.0.0/30".parse().unwrap()]).unwrap();
    net.ipam.create_reservation(&first).unwrap();
    net.refuses(
        |ipam| ipam.create_reservation(&Reservation::try_new("r", &[]).unwrap()),
        IpamErrorKind::Taken,
        "reservation r exists already",
    );
    let listed = net.ipam.reservations().unwrap();
    assert_eq!(
        listed[0].cidrs().collect::<Vec<_>>(),
        ["10.0.0.0/30".parse().unwrap()]
    );
    let stored = net
        .value("/calico/resources/v3/projectcalico.org/ipreservations/r")
        .unwrap();
    assert!(
        stored.contains(r#""creationTimestamp":"2026-08-22T13:33:20Z""#),
        "{stored}"
    );
    let all = Request::new(node("a"), 8, owner("h"));
    assert_eq!(net.ipam.assign_many(&all).unwrap().assigned.len(), 4);
    net.ipam.delete_reservation("r").unwrap();
    assert_eq!(net.ipam.assign_many(&all).unwrap().assigned.len(), 4);
    net.refuses(
        |ipam| ipam.delete_reservation("r"),
        IpamErrorKind::NotFound,
        "there is no reservation named r",
    );
}

#[test]
fn pools_and_reservations_change_once_however_replies_are_lost() {
    same_however_lost(|ipam| {
        ipam.create_pool(&pool("new", "10.1.0.0/24"))?;
        ipam.disable_pool("new")?;
        ipam.update_pool(&pool("new", "10.1.0.0/24"))?;
        ipam.delete_pool("new")
    });
    same_however_lost(|ipam| ipam.delete_pool("p"));
    same_however_lost(|ipam| {
        let reservation = Reservation::try_new("r", &["10.0.0.8/30".parse().unwrap()]).unwrap();
        ipam.create_reservation(&reservation)?;
        let before = ipam.reservations()?.len();
        ipam.delete_reservation("r")?;
        Ok((before, ipam.reservations()?.len()))
    });
}
