//! The pool's JSON, a resource of Calico's v3 API.

use ipnetwork::Ipv6Network;

use super::{IpipMode, Metadata, Pool, Spec, check};
use crate::resource::json::{Object, ObjectWriter};
use crate::resource::{DEFAULT_BLOCK_LEN, PoolError, ResourceError};

impl Pool {
    /// Reads the stored value; `None` for an IPv6 pool, which is somebody else's.
    ///
    /// # Errors
    /// [`ResourceError`] naming the field and the rule.
    pub fn from_json(text: &[u8]) -> Result<Option<Self>, ResourceError> {
        let mut object = Object::parse(text)?;
        let mut spec = required(object.take_object("spec")?, "spec")?;
        let mut metadata = required(object.take_object("metadata")?, "metadata")?;
        let name: String = required(metadata.take("name")?, "name")?;
        let cidr: String = required(spec.take("cidr")?, "cidr")?;
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
        // Both are the same for every pool and are written anew.
        object.take::<String>("kind")?;
        object.take::<String>("apiVersion")?;
        Ok(Some(Self {
            name,
            cidr,
            block_len,
            spec: Spec::from_object(spec)?,
            metadata: Metadata::from_object(metadata)?,
            extra: object.into_extra(),
        }))
    }

    /// The value to be stored, as Calico writes it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let mut object = ObjectWriter::new(&mut out);
        object.field("kind", "IPPool");
        object.field("apiVersion", "projectcalico.org/v3");
        object.field_with("metadata", |out| self.metadata.write(&self.name, out));
        object.field_with("spec", |out| self.spec.write(self, out));
        object.end(&self.extra);
        out
    }
}

fn required<T>(value: Option<T>, field: &'static str) -> Result<T, ResourceError> {
    value.ok_or(ResourceError::Missing { field })
}

impl Spec {
    fn from_object(mut object: Object) -> Result<Self, ResourceError> {
        let mode: Option<String> = object.take("ipipMode")?;
        Ok(Self {
            vxlan_mode: object.take("vxlanMode")?.unwrap_or_default(),
            ipip_mode: mode
                .filter(|m| !m.is_empty())
                .map(|m| ipip_mode(&m))
                .transpose()?,
            nat_outgoing: object.take("natOutgoing")?.unwrap_or_default(),
            disabled: object.take("disabled")?.unwrap_or_default(),
            disable_bgp_export: object.take("disableBGPExport")?.unwrap_or_default(),
            node_selector: object.take("nodeSelector")?.unwrap_or_default(),
            namespace_selector: object.take("namespaceSelector")?.unwrap_or_default(),
            allowed_uses: object.take("allowedUses")?.unwrap_or_default(),
            assignment_mode: object.take("assignmentMode")?.unwrap_or_default(),
            extra: object.into_extra(),
        })
    }

    fn write(&self, pool: &Pool, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.field("cidr", &pool.cidr.to_string());
        text(&mut object, "vxlanMode", &self.vxlan_mode);
        text(
            &mut object,
            "ipipMode",
            self.ipip_mode.map_or("", IpipMode::as_str),
        );
        flag(&mut object, "natOutgoing", self.nat_outgoing);
        flag(&mut object, "disabled", self.disabled);
        flag(&mut object, "disableBGPExport", self.disable_bgp_export);
        object.field("blockSize", &pool.block_len);
        text(&mut object, "nodeSelector", &self.node_selector);
        text(&mut object, "namespaceSelector", &self.namespace_selector);
        if !self.allowed_uses.is_empty() {
            object.field("allowedUses", &self.allowed_uses);
        }
        text(&mut object, "assignmentMode", &self.assignment_mode);
        object.end(&self.extra);
    }
}

impl Metadata {
    fn from_object(mut object: Object) -> Result<Self, ResourceError> {
        Ok(Self {
            uid: object.take("uid")?.unwrap_or_default(),
            created: object.take("creationTimestamp")?.unwrap_or_default(),
            deletion: object.take("deletionTimestamp")?.unwrap_or_default(),
            extra: object.into_extra(),
        })
    }

    fn write(&self, name: &str, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.field("name", name);
        text(&mut object, "uid", &self.uid);
        // Kubernetes' ObjectMeta writes null for an instant that was never set.
        let created = Some(&self.created).filter(|created| !created.is_empty());
        object.field("creationTimestamp", &created);
        text(&mut object, "deletionTimestamp", &self.deletion);
        object.end(&self.extra);
    }
}

fn ipip_mode(text: &str) -> Result<IpipMode, ResourceError> {
    let mode = text.parse::<IpipMode>();
    let mode = mode.ok().filter(|mode| mode.as_str() == text);
    mode.ok_or_else(|| ResourceError::Field {
        field: "ipipMode",
        detail: format!("{text:?} is not Never, Always or CrossSubnet"),
    })
}

fn text(object: &mut ObjectWriter<'_>, name: &str, value: &str) {
    if !value.is_empty() {
        object.field(name, value);
    }
}

fn flag(object: &mut ObjectWriter<'_>, name: &str, value: bool) {
    if value {
        object.field(name, &value);
    }
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
