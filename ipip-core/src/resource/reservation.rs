//! Addresses that nobody is assigned unasked.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::json::{Extra, Object, ObjectWriter};
use super::metadata::{Metadata, is_kubernetes_name};
use super::{Block, ReservationError, ResourceError};
use crate::addr::Ipv4Prefix;

/// Addresses set aside (Calico's `IPReservation`): assigning any address passes over them, asking
/// for one of them by name does not.
///
/// ```
/// use ipip_core::resource::{Reservation, Reserved};
/// let routers = Reservation::try_new("routers", &["10.244.0.0/30".parse()?])?;
/// let reserved: Reserved = routers.cidrs().collect();
/// assert!(reserved.contains("10.244.0.3".parse()?) && !reserved.contains("10.244.0.4".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    name: String,
    /// Verbatim: Calico ignores what is malformed, so it is kept.
    cidrs: Vec<String>,
    metadata: Metadata,
    spec_extra: Extra,
    extra: Extra,
}

impl Reservation {
    /// The reservation of `cidrs`.
    ///
    /// # Errors
    /// [`ReservationError`] if the name is none that Kubernetes accepts, or a prefix has host bits.
    pub fn try_new(name: &str, cidrs: &[Ipv4Network]) -> Result<Self, ReservationError> {
        check_name(name)?;
        let mut texts = Vec::with_capacity(cidrs.len());
        for cidr in cidrs {
            let prefix = Ipv4Prefix::try_from(*cidr).map_err(|fault| ReservationError::Prefix {
                name: name.to_owned(),
                fault,
            })?;
            texts.push(prefix.to_string());
        }
        Ok(Self {
            name: name.to_owned(),
            cidrs: texts,
            metadata: Metadata::default(),
            spec_extra: Extra::default(),
            extra: Extra::default(),
        })
    }

    /// The same reservation with a unique id and the time of its creation.
    pub(crate) fn recorded(mut self, uid: String, created: String) -> Self {
        self.metadata.record(uid, created);
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The IPv4 addresses set aside, in the order of the list. As Calico reads them: a single
    /// address is a /32, host bits and white space around do not count.
    pub fn cidrs(&self) -> impl Iterator<Item = Ipv4Prefix> {
        self.cidrs.iter().filter_map(|text| ipv4(text))
    }

    /// The entries that are neither an address nor a prefix, of either IP version: they reserve
    /// nothing.
    pub fn malformed(&self) -> impl Iterator<Item = &str> {
        let texts = self.cidrs.iter().map(String::as_str);
        texts.filter(|text| ipv4(text).is_none() && !is_ipv6(text))
    }

    /// Reads the stored value.
    ///
    /// # Errors
    /// [`ResourceError`] naming the field, or the rule for names.
    pub fn from_json(text: &[u8]) -> Result<Self, ResourceError> {
        let mut object = Object::parse(text)?;
        let (name, metadata, mut spec) = Metadata::take(&mut object)?;
        check_name(&name)?;
        let cidrs: Option<Vec<Option<String>>> = spec.take("reservedCIDRs")?;
        let cidrs = cidrs.unwrap_or_default().into_iter();
        Ok(Self {
            name,
            cidrs: cidrs.map(Option::unwrap_or_default).collect(),
            metadata,
            spec_extra: spec.into_extra(),
            extra: object.into_extra(),
        })
    }

    /// The value to be stored, as Calico writes it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let spec = |out: &mut Vec<u8>| {
            let mut object = ObjectWriter::new(out);
            if !self.cidrs.is_empty() {
                object.field("reservedCIDRs", &self.cidrs);
            }
            object.end(&self.spec_extra);
        };
        self.metadata
            .resource("IPReservation", &self.name, spec, &self.extra)
    }
}

fn check_name(name: &str) -> Result<(), ReservationError> {
    if is_kubernetes_name(name) {
        return Ok(());
    }
    let name = name.to_owned();
    Err(ReservationError::Name { name })
}

fn ipv4(text: &str) -> Option<Ipv4Prefix> {
    let (addr, len) = match text.trim().split_once('/') {
        Some((addr, len)) => (addr, len.parse().ok()?),
        None => (text.trim(), 32),
    };
    Ipv4Prefix::containing(addr.parse().ok()?, len).ok()
}

fn is_ipv6(text: &str) -> bool {
    text.trim().parse::<ipnetwork::Ipv6Network>().is_ok()
}

/// The union of all reservations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reserved {
    /// First and last address of each stretch, in order, neither overlapping nor adjoining.
    stretches: Vec<(u32, u32)>,
}

impl Reserved {
    /// What all `reservations` set aside.
    pub fn of<'a>(reservations: impl IntoIterator<Item = &'a Reservation>) -> Self {
        let all = reservations.into_iter();
        all.flat_map(Reservation::cidrs).collect()
    }

    /// Whether nothing is reserved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// Whether `addr` is reserved.
    #[must_use]
    pub fn contains(&self, addr: Ipv4Addr) -> bool {
        self.covers(Ipv4Prefix::host(addr))
    }

    /// Whether every address of `prefix` is reserved.
    #[must_use]
    pub fn covers(&self, prefix: Ipv4Prefix) -> bool {
        let (first, last) = ends(prefix);
        let after = self.stretches.partition_point(|(start, _)| *start <= first);
        let before = after.checked_sub(1).and_then(|at| self.stretches.get(at));
        before.is_some_and(|(_, end)| last <= *end)
    }

    /// How many addresses of `prefix` are reserved.
    #[must_use]
    pub fn count_in(&self, prefix: Ipv4Prefix) -> u64 {
        let (first, last) = ends(prefix);
        let begin = self.stretches.partition_point(|(_, end)| *end < first);
        let inside = self.stretches.iter().skip(begin);
        inside
            .take_while(|(start, _)| *start <= last)
            .map(|(start, end)| u64::from(*end.min(&last)) - u64::from(*start.max(&first)) + 1)
            .sum()
    }

    /// How many free addresses of `block` are not reserved.
    pub(crate) fn leaves_free(&self, block: &Block) -> usize {
        if self.is_empty() {
            return block.free_count();
        }
        block.free().filter(|addr| !self.contains(*addr)).count()
    }
}

impl FromIterator<Ipv4Prefix> for Reserved {
    fn from_iter<I: IntoIterator<Item = Ipv4Prefix>>(prefixes: I) -> Self {
        let mut all: Vec<_> = prefixes.into_iter().map(ends).collect();
        all.sort_unstable();
        let mut stretches: Vec<(u32, u32)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match stretches.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => stretches.push((first, last)),
            }
        }
        Self { stretches }
    }
}

fn ends(prefix: Ipv4Prefix) -> (u32, u32) {
    (prefix.network().to_bits(), prefix.last().to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn prefix(text: &str) -> Ipv4Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn foreign_entries_are_read_as_calico_reads_them() {
        let text = r#"{"kind":"IPReservation","apiVersion":"projectcalico.org/v3","metadata":{"name":"r","uid":"u","creationTimestamp":"2026-08-22T13:30:00Z","annotations":{"a":"b"}},"spec":{"reservedCIDRs":["10.0.0.0/30"," 10.0.0.9 ","10.0.1.7/24","fd80::/64","fd80::1","10.0.0.0/33","10.0.0","","a/b"],"later":1.50},"x":18446744073709551615}"#;
        let reservation = Reservation::from_json(text.as_bytes()).unwrap();
        let cidrs: Vec<_> = reservation.cidrs().collect();
        assert_eq!(
            cidrs,
            ["10.0.0.0/30", "10.0.0.9/32", "10.0.1.0/24"].map(prefix)
        );
        let malformed: Vec<_> = reservation.malformed().collect();
        assert_eq!(malformed, ["10.0.0.0/33", "10.0.0", "", "a/b"]);
        assert_eq!(String::from_utf8(reservation.to_json()).unwrap(), text);
    }

    #[test]
    fn a_new_one_is_written_as_calico_does() {
        let cidrs = ["10.0.0.0/30", "10.0.0.9/32"].map(|text| text.parse().unwrap());
        let reservation = Reservation::try_new("r", &cidrs).unwrap();
        let recorded = reservation.recorded("u".to_owned(), "2026-08-22T13:30:00Z".to_owned());
        assert_eq!(
            String::from_utf8(recorded.to_json()).unwrap(),
            r#"{"kind":"IPReservation","apiVersion":"projectcalico.org/v3","metadata":{"name":"r","uid":"u","creationTimestamp":"2026-08-22T13:30:00Z"},"spec":{"reservedCIDRs":["10.0.0.0/30","10.0.0.9/32"]}}"#
        );
        let none = Reservation::from_json(br#"{"metadata":{"name":"r"}}"#).unwrap();
        assert_eq!(
            (none.cidrs().count(), Reserved::of([&none]).is_empty()),
            (0, true)
        );
    }

    #[test]
    fn faults_name_field_or_rule() {
        let fault = |text: &str| {
            Reservation::from_json(text.as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(fault("{}"), "field metadata is missing");
        assert_eq!(fault(r#"{"metadata":{}}"#), "field name is missing");
        assert!(
            fault(r#"{"metadata":{"name":"a/b"}}"#).starts_with("reservation name \"a/b\" must be")
        );
        for spec in [
            "[]",
            r#"{"reservedCIDRs":"10.0.0.0/30"}"#,
            r#"{"reservedCIDRs":[1]}"#,
        ] {
            let message = fault(&format!(r#"{{"metadata":{{"name":"r"}},"spec":{spec}}}"#));
            assert!(
                message.starts_with("field spec: ") || message.starts_with("field reservedCIDRs: "),
                "{message}"
            );
        }
        let error = Reservation::try_new("r", &["10.0.0.1/30".parse().unwrap()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "reservation r: 10.0.0.1/30 has host bits set, the prefix is 10.0.0.0/30"
        );
    }

    #[test]
    fn the_union_reaches_both_ends_of_the_address_space() {
        let all: Reserved = ["0.0.0.0/1", "128.0.0.0/1"]
            .map(prefix)
            .into_iter()
            .collect();
        assert!(all.covers(Ipv4Prefix::ALL) && all.contains(Ipv4Addr::BROADCAST));
        assert_eq!(all.count_in(Ipv4Prefix::ALL), 1 << 32);
        let last: Reserved = ["255.255.255.255/32", "255.255.255.254/32"]
            .map(prefix)
            .into_iter()
            .collect();
        assert!(
            last.covers(prefix("255.255.255.254/31")) && !last.covers(prefix("255.255.255.252/30"))
        );
        assert!(!Reserved::default().contains(Ipv4Addr::UNSPECIFIED));
        assert_eq!(Reserved::default().count_in(Ipv4Prefix::ALL), 0);
    }

    fn small_prefixes() -> impl Strategy<Value = Vec<Ipv4Prefix>> {
        let one = (any::<u8>(), 24..=32u8)
            .prop_map(|(last, len)| Ipv4Prefix::containing([10, 0, 0, last].into(), len).unwrap());
        prop::collection::vec(one, 0..12)
    }

    proptest! {
        #[test]
        fn the_union_holds_what_its_prefixes_hold(prefixes in small_prefixes(), asked in small_prefixes()) {
            let reserved: Reserved = prefixes.iter().copied().collect();
            let addresses = |prefix: Ipv4Prefix| (0..256).filter_map(move |i| prefix.nth(i));
            let naive: BTreeSet<_> = prefixes.iter().flat_map(|one| addresses(*one)).collect();
            for addr in addresses(prefix("10.0.0.0/24")) {
                prop_assert_eq!(reserved.contains(addr), naive.contains(&addr));
            }
            for one in asked {
                let count = addresses(one).filter(|addr| naive.contains(addr)).count();
                prop_assert_eq!(reserved.count_in(one), count as u64);
                prop_assert_eq!(reserved.covers(one), one.size() == count as u64);
            }
        }
    }
}
