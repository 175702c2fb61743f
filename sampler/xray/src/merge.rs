//! Annotations and metadata by way of maps: for spans whose keys can meet. Of equal keys the last
//! in attribute order counts, and a span's beats its resource's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Parsed};
use tailgate_proto::view::Value;

use crate::annotate::{annotation_key, is_resource_key};
use crate::attrs::{Attr, Attrs, is_scalar};
use crate::json::Json;
use crate::keys::{Key, METADATA_PREFIX, RESOURCE_PREFIX};
use crate::metadata_json;
use crate::{Decision, Options};

/// Annotations and metadata being collected.
#[derive(Debug, Default)]
pub(crate) struct Maps<'a> {
    annotations: BTreeMap<Vec<u8>, Value<'a>>,
    default: BTreeMap<Cow<'a, [u8]>, Item<'a>>,
    /// `None` is written as `null`.
    namespaces: BTreeMap<&'a [u8], Option<Map<String, Parsed>>>,
}

#[derive(Debug)]
enum Item<'a> {
    Attribute(Value<'a>),
    Member(Parsed),
}

// === impl Maps ===

impl<'a> Maps<'a> {
    /// Adds the resource's attributes. `wanted` are more keys to index, sorted.
    pub(crate) fn add_resource(
        &mut self,
        resource: &Attrs<'a>,
        options: &Options,
        wanted: &[&[u8]],
    ) {
        for attr in resource.items() {
            let key = [RESOURCE_PREFIX, attr.key].concat();
            if is_scalar(&attr.value) && is_indexed(&key, options, wanted) {
                let key = annotation_key(&key, options.allow_dot);
                self.annotations.insert(key, attr.value.clone());
            } else {
                self.add_default(Cow::Owned(key), &attr.value);
            }
        }
    }

    /// Adds one attribute of the span.
    pub(crate) fn add(&mut self, attr: &Attr<'a>, options: &Options, wanted: &[&[u8]]) {
        if is_indexed(attr.key, options, wanted) {
            // What can't be an annotation is dropped.
            if is_scalar(&attr.value) {
                let key = annotation_key(attr.key, options.allow_dot);
                self.annotations.insert(key, attr.value.clone());
            }
        } else if !self.add_namespace(attr) {
            self.add_default(Cow::Borrowed(attr.key), &attr.value);
        }
    }

    /// Adds what is told of the decision. It beats attributes.
    pub(crate) fn tell(&mut self, decision: Decision<'a>, options: &Options) {
        for (key, value) in options.told(decision) {
            self.annotations.insert(annotation_key(key.as_bytes(), options.allow_dot), value);
        }
    }

    fn add_default(&mut self, key: Cow<'a, [u8]>, value: &Value<'a>) {
        if !matches!(value, Value::Empty) {
            self.default.insert(key, Item::Attribute(value.clone()));
        }
    }

    /// Takes `aws.xray.metadata.*` with an object or `null` in it.
    fn add_namespace(&mut self, attr: &Attr<'a>) -> bool {
        if attr.known != Key::MetadataNamespace {
            return false;
        }
        let Value::Str(text) = attr.value else { return false };
        let Some(members) = metadata_json::parse(text) else { return false };
        let namespace = &attr.key[METADATA_PREFIX.len()..];
        if namespace.eq_ignore_ascii_case(b"default") {
            for (key, value) in members.into_iter().flatten() {
                self.default.insert(Cow::Owned(key.into_bytes()), Item::Member(value));
            }
        } else {
            self.namespaces.insert(namespace, members);
        }
        true
    }

    /// Writes the metadata, if there are any.
    pub(crate) fn write_metadata(&self, json: &mut Json, resource_only: bool) {
        if self.default.is_empty() && self.namespaces.is_empty() {
            return;
        }
        json.open("metadata");
        if !self.default.is_empty() {
            json.open("default");
            self.write_default(json, resource_only);
            json.raw("}");
        }
        for (name, members) in &self.namespaces {
            json.foreign_key(name);
            let Some(members) = members else {
                json.raw("null");
                continue;
            };
            json.raw("{");
            for (key, value) in members {
                if !resource_only || is_resource_key(key.as_bytes()) {
                    json.foreign_key(key.as_bytes());
                    metadata_json::write(json, value);
                }
            }
            json.raw("}");
        }
        json.raw("}");
    }

    /// Writes the annotations, if there are any.
    pub(crate) fn write_annotations_member(&self, json: &mut Json) {
        if !self.annotations.is_empty() {
            json.open("annotations");
            self.write_annotations(json);
            json.raw("}");
        }
    }

    /// Writes the annotations, without braces.
    pub(crate) fn write_annotations(&self, json: &mut Json) {
        let start = json.buf.len();
        for (key, value) in &self.annotations {
            if json.is_full(start) {
                break;
            }
            json.foreign_key(key);
            json.value(value);
        }
    }

    /// Writes the members of the namespace `default`, without braces.
    pub(crate) fn write_default(&self, json: &mut Json, resource_only: bool) {
        for (key, item) in &self.default {
            if resource_only && !is_resource_key(key) {
                continue;
            }
            json.foreign_key(key);
            match item {
                Item::Attribute(value) => json.value(value),
                Item::Member(value) => metadata_json::write(json, value),
            }
        }
    }
}

fn is_indexed(key: &[u8], options: &Options, wanted: &[&[u8]]) -> bool {
    options.index_all_attributes || options.is_indexed(key) || wanted.binary_search(&key).is_ok()
}
