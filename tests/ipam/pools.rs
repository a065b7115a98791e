//! Creating pools, and who may use them.

use ipip_core::datastore::{Commit, Store, key};
use ipip_core::ipam::IpamErrorKind;
use ipip_core::resource::{IpipMode, Pool};

use crate::support::{addr, network, node, owner};

#[test]
fn pools_are_created_as_calico_does_and_guarded() {
    let net = network(&["10.0.0.0/24"], 26);
    let pool = |name: &str, cidr: &str| Pool::try_new(name, cidr.parse().unwrap(), 26).unwrap();
    net.ipam
        .create_pool(&pool("pods", "10.1.0.0/16").with_ipip_mode(IpipMode::CrossSubnet))
        .unwrap();
    assert_eq!(
        net.value("/calico/resources/v3/projectcalico.org/ippools/pods")
            .unwrap(),
        concat!(
            r#"{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"pods","#,
            r#""uid":"00000000-0000-4000-8000-000000000000","creationTimestamp":"2026-08-22T13:33:20Z"},"#,
            r#""spec":{"cidr":"10.1.0.0/16","vxlanMode":"Never","ipipMode":"CrossSubnet","blockSize":26,"#,
            r#""nodeSelector":"all()","allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic"}}"#
        )
    );
    for (new, message) in [
        (pool("pods", "10.9.0.0/16"), "pool pods exists already"),
        (
            pool("new", "10.1.4.0/24"),
            "pool new 10.1.4.0/24 overlaps pool pods 10.1.0.0/16",
        ),
        (
            pool("new", "10.0.0.0/16"),
            "pool new 10.0.0.0/16 overlaps pool pool-0 10.0.0.0/24",
        ),
    ] {
        net.refuses(|ipam| ipam.create_pool(&new), IpamErrorKind::Taken, message);
    }
    net.ipam
        .claim(&node("a"), "10.1.0.64/26".parse().unwrap())
        .unwrap();
    let mut gone = Commit::new();
    gone.delete(&key::pool("pods"));
    let _ = net.store.commit(gone).unwrap();
    for (cidr, len) in [("10.1.0.0/16", 27), ("10.1.0.96/28", 28)] {
        let new = Pool::try_new("new", cidr.parse().unwrap(), len).unwrap();
        let message =
            format!("pool new is cut into blocks of /{len}, but there is block 10.1.0.64/26 in it");
        net.refuses(
            |ipam| ipam.create_pool(&new),
            IpamErrorKind::Taken,
            &message,
        );
    }
    net.ipam.create_pool(&pool("again", "10.1.0.0/16")).unwrap();
}

#[test]
fn pools_not_for_everybody_are_used_only_by_name() {
    let net = network(&[], 26);
    let off = Pool::try_new("off", "10.0.0.0/24".parse().unwrap(), 26)
        .unwrap()
        .with_disabled(true);
    net.ipam.create_pool(&off).unwrap();
    let none = "there is no enabled pool for this node and use";
    net.refuses(
        |ipam| ipam.assign_any(&node("a"), &owner("h")),
        IpamErrorKind::Exhausted,
        none,
    );
    net.refuses(
        |ipam| ipam.claim_any(&node("a")),
        IpamErrorKind::Exhausted,
        none,
    );
    let disabled = "pool off is disabled";
    net.refuses(
        |ipam| ipam.assign(&node("a"), addr("10.0.0.1"), &owner("h")),
        IpamErrorKind::Invalid,
        disabled,
    );
    net.refuses(
        |ipam| ipam.claim(&node("a"), "10.0.0.0/26".parse().unwrap()),
        IpamErrorKind::Invalid,
        disabled,
    );
    let key = key::pool("manual");
    net.put(
        &key,
        r#"{"metadata":{"name":"manual"},"spec":{"cidr":"10.2.0.0/24","assignmentMode":"Manual"}}"#,
    );
    net.put(
        &key::pool("v6"),
        r#"{"metadata":{"name":"v6"},"spec":{"cidr":"fd80::/120","blockSize":122}}"#,
    );
    net.refuses(
        |ipam| ipam.assign_any(&node("a"), &owner("h")),
        IpamErrorKind::Exhausted,
        none,
    );
    net.ipam
        .assign(&node("a"), addr("10.2.0.1"), &owner("h"))
        .unwrap();
}
