//! The pool's JSON, a resource of Calico's v3 API.

use ipnetwork::Ipv6Network;

use super::spec::{Chosen, Spec};
use super::{IpipMode, Pool, check};
use crate::resource::json::{Object, ObjectWriter};
use crate::resource::metadata::Metadata;
use crate::resource::{DEFAULT_BLOCK_LEN, PoolError, ResourceError};

impl Pool {
    /// Reads the stored value; `None` for an IPv6 pool, which is somebody else's.
    ///
    /// # Errors
    /// [`ResourceError`] naming the field and the rule.
    pub fn from_json(text: &[u8]) -> Result<Option<Self>, ResourceError> {
        let mut object = Object::parse(text)?;
        let (name, metadata, mut spec) = Metadata::take(&mut object)?;
        let cidr: Option<String> = spec.take("cidr")?;
        let cidr = cidr.ok_or(ResourceError::Missing { field: "cidr" })?;
        if cidr.parse::<Ipv6Network>().is_ok() {
            return Ok(None);
        }
        let cidr = cidr.parse().map_err(|fault| PoolError::Prefix {
            name: name.clone(),
            fault,
        })?;
        let block_len = match spec.take("blockSize")? {
            None | Some(0) => DEFAULT_BLOCK_LEN,
            Some(len) => len,
        };
        check(&name, cidr, block_len)?;
        let pool = Self {
            name,
            cidr,
            block_len,
            spec: Spec::from_object(spec)?,
            metadata,
            unallocatable: is_unallocatable(&object)?,
            extra: object.into_extra(),
        };
        pool.check_encapsulation()?;
        Ok(Some(pool))
    }

    /// The value to be stored, as Calico writes it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let spec = |out: &mut Vec<u8>| self.spec.write(self, out);
        self.metadata
            .resource("IPPool", &self.name, spec, &self.extra)
    }
}

impl Spec {
    fn from_object(mut object: Object) -> Result<Self, ResourceError> {
        Ok(Self {
            vxlan_mode: mode(&mut object, "vxlanMode")?,
            ipip_mode: mode(&mut object, "ipipMode")?,
            nat_outgoing: object.take("natOutgoing")?.unwrap_or_default(),
            disabled: object.take("disabled")?.unwrap_or_default(),
            disable_bgp_export: object.take("disableBGPExport")?.unwrap_or_default(),
            node_selector: selector(&mut object, "nodeSelector")?,
            namespace_selector: selector(&mut object, "namespaceSelector")?,
            allowed_uses: object.take("allowedUses")?.unwrap_or_default(),
            assignment_mode: object.take("assignmentMode")?.unwrap_or_default(),
            extra: object.into_extra(),
        })
    }

    fn write(&self, pool: &Pool, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.field("cidr", &pool.cidr.to_string());
        let text = |mode: Option<IpipMode>| mode.map_or("", IpipMode::as_str);
        object.text("vxlanMode", text(self.vxlan_mode));
        object.text("ipipMode", text(self.ipip_mode));
        object.flag("natOutgoing", self.nat_outgoing);
        object.flag("disabled", self.disabled);
        object.flag("disableBGPExport", self.disable_bgp_export);
        object.field("blockSize", &pool.block_len);
        object.text("nodeSelector", &self.node_selector.text);
        object.text("namespaceSelector", &self.namespace_selector.text);
        if !self.allowed_uses.is_empty() {
            object.field("allowedUses", &self.allowed_uses);
        }
        object.text("assignmentMode", &self.assignment_mode);
        object.end(&self.extra);
    }
}

/// The status itself is not ours: it stays as it is.
fn is_unallocatable(object: &Object) -> Result<bool, ResourceError> {
    let mut status: Object = object.peek("status")?.unwrap_or_default();
    let conditions: Option<Vec<Object>> = status.take("conditions")?;
    for mut condition in conditions.unwrap_or_default() {
        let kind: Option<String> = condition.take("type")?;
        let value: Option<String> = condition.take("status")?;
        if kind.as_deref() == Some("Allocatable") && value.as_deref() == Some("False") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn selector(object: &mut Object, name: &'static str) -> Result<Chosen, ResourceError> {
    let text: Option<String> = object.take(name)?;
    Ok(text.unwrap_or_default().into())
}

fn mode(object: &mut Object, field: &'static str) -> Result<Option<IpipMode>, ResourceError> {
    let text: Option<String> = object.take(field)?;
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let mode = text.parse::<IpipMode>();
    let mode = mode.ok().filter(|mode| mode.as_str() == text);
    mode.map(Some).ok_or_else(|| ResourceError::Field {
        field,
        detail: format!("{text:?} is not Never, Always or CrossSubnet"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = r#"{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"default-ipv4-ippool","uid":"7c7f5f1e-5a2e-4f67-9d2b-8f1a3f0d7a11","creationTimestamp":"2026-08-22T13:30:00Z"},"spec":{"cidr":"192.168.0.0/16","vxlanMode":"Never","ipipMode":"Always","natOutgoing":true,"blockSize":26,"nodeSelector":"all()","allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic"}}"#;

    fn pool(spec: &str) -> Result<Option<Pool>, ResourceError> {
        Pool::from_json(format!(r#"{{"metadata":{{"name":"p"}},"spec":{spec}}}"#).as_bytes())
    }

    fn read(spec: &str) -> Pool {
        pool(spec).unwrap().unwrap()
    }

    #[test]
    fn a_new_pool_is_written_as_calico_does() {
        let pool = Pool::try_new("default-ipv4-ippool", "192.168.0.0/16".parse().unwrap(), 26)
            .unwrap()
            .with_ipip_mode(IpipMode::Always)
            .with_nat_outgoing(true)
            .recorded(
                "7c7f5f1e-5a2e-4f67-9d2b-8f1a3f0d7a11".to_owned(),
                "2026-08-22T13:30:00Z".to_owned(),
            );
        assert_eq!(String::from_utf8(pool.to_json()).unwrap(), STORED);
        assert_eq!(Pool::from_json(STORED.as_bytes()).unwrap(), Some(pool));
    }

    #[test]
    fn what_is_missing_has_calicos_default() {
        let pool = read(r#"{"cidr":"10.0.0.0/24"}"#);
        assert_eq!(
            (pool.block_len(), pool.ipip_mode(), pool.nat_outgoing()),
            (26, IpipMode::Never, false)
        );
        assert!(pool.is_enabled() && pool.is_automatic());
        assert_eq!(pool.blocks().count(), 4);
    }

    #[test]
    fn who_may_use_it_is_read_from_the_spec() {
        for (field, enabled, automatic) in [
            (r#""disabled":true"#, false, false),
            (r#""assignmentMode":"Manual""#, true, false),
            (r#""nodeSelector":"zone == 'a'""#, true, false),
            (r#""namespaceSelector":"has(x)""#, true, false),
            (r#""nodeSelector":" all() ""#, true, true),
            (r#""allowedUses":["Tunnel"]"#, true, false),
            (r#""allowedUses":[]"#, true, true),
        ] {
            let pool = read(&format!(r#"{{"cidr":"10.0.0.0/24",{field}}}"#));
            assert_eq!(
                (pool.is_enabled(), pool.is_automatic()),
                (enabled, automatic),
                "{field}"
            );
        }
        let deleted = br#"{"metadata":{"name":"p","deletionTimestamp":"2026-08-22T13:30:00Z"},"spec":{"cidr":"10.0.0.0/24"}}"#;
        assert!(!Pool::from_json(deleted).unwrap().unwrap().is_enabled());
    }

    #[test]
    fn an_ipv6_pool_is_passed_over() {
        assert_eq!(
            pool(r#"{"cidr":"fd80:24e2:f998:72d6::/120","blockSize":122}"#).unwrap(),
            None
        );
    }

    #[test]
    fn faults_name_the_rule() {
        for (spec, message) in [
            (r#"{}"#, "field cidr is missing"),
            (
                r#"{"cidr":"10.0.0.1/24"}"#,
                "pool p: 10.0.0.1/24 has host bits set, the prefix is 10.0.0.0/24",
            ),
            (
                r#"{"cidr":"10.0.0.0/24","blockSize":19}"#,
                "pool p: block size /19 is outside /20 to /32",
            ),
            (
                r#"{"cidr":"10.0.0.0/24","blockSize":23}"#,
                "pool p: 10.0.0.0/24 is smaller than one block of /23",
            ),
            (
                r#"{"cidr":"169.254.1.0/24"}"#,
                "pool p: 169.254.1.0/24 overlaps the link-local range 169.254.0.0/16",
            ),
            (
                r#"{"cidr":"10.0.0.0/24","ipipMode":"always"}"#,
                "field ipipMode: \"always\" is not Never, Always or CrossSubnet",
            ),
        ] {
            assert_eq!(pool(spec).unwrap_err().to_string(), message, "{spec}");
        }
        for name in ["", "A", "a/b", "-a", "a-", "a..b", "a_b", &"a".repeat(254)] {
            assert!(
                matches!(
                    Pool::try_new(name, "10.0.0.0/24".parse().unwrap(), 26),
                    Err(PoolError::Name { .. })
                ),
                "{name}"
            );
        }
    }

    #[test]
    fn blocks_are_cut_at_every_edge() {
        let pool = Pool::try_new("p", "255.255.255.0/24".parse().unwrap(), 26).unwrap();
        assert_eq!(pool.block(3).unwrap().to_string(), "255.255.255.192/26");
        assert_eq!((pool.block(4), pool.block(u64::MAX)), (None, None));
        assert_eq!(pool.block_of("255.255.254.255".parse().unwrap()), None);
        let one = Pool::try_new("p", "10.0.0.7/32".parse().unwrap(), 32).unwrap();
        assert_eq!(
            one.blocks().map(|b| b.to_string()).collect::<Vec<_>>(),
            ["10.0.0.7/32"]
        );
        let all = Pool::try_new("p", "0.0.0.0/1".parse().unwrap(), 32).unwrap();
        assert_eq!(
            all.block((1 << 31) - 1).unwrap().to_string(),
            "127.255.255.255/32"
        );
    }
}
