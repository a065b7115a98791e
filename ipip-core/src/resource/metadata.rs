//! The envelope of Calico's v3 resources: kind, version, `metadata`.

use std::collections::BTreeMap;

use super::ResourceError;
use super::json::{Extra, Object, ObjectWriter};
use crate::name::PATH_ELEMENT_MAX;

const API_VERSION: &str = "projectcalico.org/v3";

/// What Kubernetes' `ObjectMeta` says of a resource besides its name; empty is "not given".
///
/// A resource version is never stored: the store's revision is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Metadata {
    pub(super) uid: String,
    pub(super) created: String,
    pub(super) deletion: String,
    pub(super) labels: BTreeMap<String, String>,
    extra: Extra,
}

impl Metadata {
    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// What the datastore demands of each record: a unique id and the time of its creation.
    /// Calico's clients refuse to update a record without them.
    pub(super) fn record(&mut self, uid: String, created: String) {
        self.uid = uid;
        self.created = created;
    }

    /// The same record with the labels of `wanted`: it keeps its id, its times, and what we do not
    /// know.
    pub(super) fn updated(&self, wanted: &Self) -> Self {
        Self {
            labels: wanted.labels.clone(),
            extra: self.extra.or_newer(&wanted.extra),
            ..self.clone()
        }
    }

    /// Takes the envelope off `object`: the name, the metadata, and `spec` (empty if missing).
    pub(super) fn take(object: &mut Object) -> Result<(String, Self, Object), ResourceError> {
        let metadata = object.take_object("metadata")?;
        let metadata = metadata.ok_or(ResourceError::Missing { field: "metadata" })?;
        let (name, metadata) = Self::from_object(metadata)?;
        let spec = object.take_object("spec")?.unwrap_or_default();
        // Both are the same for every record of the kind and are written anew.
        object.take::<String>("kind")?;
        object.take::<String>("apiVersion")?;
        Ok((name, metadata, spec))
    }

    fn from_object(mut object: Object) -> Result<(String, Self), ResourceError> {
        let name: Option<String> = object.take("name")?;
        let labels: BTreeMap<String, Option<String>> = object.take("labels")?.unwrap_or_default();
        let labels = labels.into_iter().map(|(k, v)| (k, v.unwrap_or_default()));
        let metadata = Self {
            uid: object.take("uid")?.unwrap_or_default(),
            created: object.take("creationTimestamp")?.unwrap_or_default(),
            deletion: object.take("deletionTimestamp")?.unwrap_or_default(),
            labels: labels.collect(),
            extra: object.into_extra(),
        };
        let name = name.ok_or(ResourceError::Missing { field: "name" })?;
        Ok((name, metadata))
    }

    /// A resource of `kind`, ended by `extra`.
    pub(super) fn resource(
        &self,
        kind: &str,
        name: &str,
        spec: impl FnOnce(&mut Vec<u8>),
        extra: &Extra,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let mut object = ObjectWriter::new(&mut out);
        object.field("kind", kind);
        object.field("apiVersion", API_VERSION);
        object.field_with("metadata", |out| self.write(name, out));
        object.field_with("spec", spec);
        object.end(extra);
        out
    }

    fn write(&self, name: &str, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.field("name", name);
        object.text("uid", &self.uid);
        // Kubernetes' ObjectMeta writes null for an instant that was never set.
        let created = Some(&self.created).filter(|created| !created.is_empty());
        object.field("creationTimestamp", &created);
        object.text("deletionTimestamp", &self.deletion);
        if !self.labels.is_empty() {
            object.field("labels", &self.labels);
        }
        object.end(&self.extra);
    }
}

/// https://www.rfc-editor.org/rfc/rfc1123#section-2.1 in lower case, as Kubernetes names objects.
pub(super) fn is_kubernetes_name(name: &str) -> bool {
    let letter_or_digit = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|c| letter_or_digit(*c) || *c == b'-')
            && bytes.first().is_some_and(|c| letter_or_digit(*c))
            && bytes.last().is_some_and(|c| letter_or_digit(*c))
    };
    name.len() <= PATH_ELEMENT_MAX && name.split('.').all(label)
}
