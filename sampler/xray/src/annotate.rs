//! `annotations` (indexed by X-Ray) and `metadata` (stored only): where all attributes go that no
//! block took.
//!
//! Most spans are written straight from their attributes. The others, whose keys could meet each
//! other or a resource's key, or that carry whole metadata namespaces, go through the maps in
//! `merge`.

use tailgate_proto::view::Value;

use crate::attrs::{Attr, Attrs, is_scalar};
use crate::json::Json;
use crate::keys::{Key, RESOURCE_PREFIX};
use crate::merge::Maps;
use crate::name::is_aws_api;
use crate::resource::Resource;
use crate::span::Span;
use crate::{Decision, Options};
use crate::{http, trim};

/// What is to be stored of one span, and how.
pub(crate) struct Stored<'s, 'a> {
    pub(crate) attrs: &'s Attrs<'a>,
    pub(crate) options: &'s Options,
    /// The resource, for segments.
    pub(crate) resource: Option<(&'s Attrs<'a>, &'s Storage)>,
    /// Which blocks took their attributes.
    pub(crate) taken: Taken,
    /// The cause took `http.status_text`.
    pub(crate) status_text: bool,
    /// Of the metadata only that of the resource is written; namespaces are kept, if empty.
    pub(crate) resource_only: bool,
    /// To be told.
    pub(crate) decision: Option<Decision<'a>>,
}

/// The blocks that take attributes out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    http: bool,
    aws_call: bool,
    /// `rpc.method`.
    method: bool,
    sql: bool,
    /// Names of today's conventions are taken too.
    stable: bool,
    /// Where today's conventions are read, addresses that nothing shows are not taken.
    addresses: http::Shown,
}

/// A resource's annotations and metadata, as members of a JSON object.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    pub(crate) annotations: Json,
    pub(crate) metadata: Json,
}

/// The key as X-Ray allows it: letters, digits, and dots unless those are switched off; one `_` for
/// any other character.
pub(crate) fn annotation_key(key: &[u8], allow_dot: bool) -> Vec<u8> {
    let mut fixed = Vec::with_capacity(key.len());
    for chunk in key.utf8_chunks() {
        for character in chunk.valid().chars() {
            let kept = character.is_ascii_alphanumeric() || allow_dot && character == '.';
            fixed.push(if kept { character as u8 } else { b'_' });
        }
        fixed.extend(chunk.invalid().iter().map(|_| b'_'));
    }
    fixed
}

fn is_annotation_key(key: &[u8], allow_dot: bool) -> bool {
    key.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_' || allow_dot && b == b'.')
}

/// So many keys are sooner compared with each other than sorted.
const FEW: usize = 16;

// === impl Taken ===

impl Taken {
    /// The collector's exporter takes attributes even for blocks that are not there; by today's
    /// conventions nothing is lost that way.
    pub(crate) fn new(
        span: &Span<'_>,
        attrs: &Attrs<'_>,
        resource: &Resource<'_>,
        sql: bool,
    ) -> Self {
        let stable = attrs.is_stable();
        let aws_call = !stable || resource.aws().is_some();
        Self {
            http: !stable || http::has_block(attrs),
            aws_call,
            method: aws_call && (!stable || is_aws_api(attrs)),
            sql,
            stable,
            addresses: if stable { http::Shown::new(span, attrs) } else { http::Shown::ALL },
        }
    }

    fn has(self, known: Key) -> bool {
        match known {
            Key::RpcMethod => self.method,
            Key::DbSystemName | Key::DbNamespace | Key::DbQueryText => self.sql && self.stable,
            Key::SqsQueueUrl => self.aws_call && self.stable,
            Key::NetworkPeerAddress => self.http && self.addresses.peer,
            Key::ClientAddress => self.http && self.addresses.client,
            known if known.is_http() => self.http,
            known if known.is_aws_call() => self.aws_call,
            known => self.sql && known.is_sql(),
        }
    }
}

// === impl Storage ===

impl Storage {
    /// Writes what a resource adds to spans that name no more keys to index.
    pub(crate) fn load(&mut self, resource: &Attrs<'_>, options: &Options) {
        let mut maps = Maps::default();
        maps.add_resource(resource, options, &[]);
        self.annotations.clear();
        maps.write_annotations(&mut self.annotations);
        self.metadata.clear();
        maps.write_default(&mut self.metadata, false);
    }
}

// === impl Stored ===

impl<'s, 'a> Stored<'s, 'a> {
    /// Writes `user`, `annotations` and `metadata`; gives the place where the last begins. `order`
    /// is room to work in.
    pub(crate) fn write(&self, json: &mut Json, order: &mut Vec<u32>) -> usize {
        json.field_or_omit("user", self.attrs.last_str(Key::EndUserId));
        self.choose(order);
        if !json.brief && self.decision.is_none() && self.is_simple(order) {
            self.write_annotations(json, order);
            let at = json.buf.len();
            self.write_metadata(json, order);
            return at;
        }
        order.sort_unstable();
        let maps = self.merged(order);
        maps.write_annotations_member(json);
        let at = json.buf.len();
        if json.brief {
            trim::write_brief_marker(json);
        } else {
            maps.write_metadata(json, self.resource_only);
        }
        at
    }

    /// The keys that the span itself wants to have indexed.
    fn wanted(&self) -> Option<&'s Value<'a>> {
        let wanted = self.attrs.last(Key::Annotations);
        wanted.filter(|value| matches!(value, Value::Array(_)))
    }

    /// Collects the attributes that are left, one of each key: the last, but the first if a block
    /// took the key and the configuration brings it back.
    fn choose(&self, order: &mut Vec<u32>) {
        let items = self.attrs.items();
        let wanted = self.wanted().is_some();
        order.clear();
        order.extend((0_u32..).zip(items).filter(|(_, a)| self.is_left(a, wanted)).map(|(i, _)| i));
        let key = |i: u32| items[i as usize].key;
        let differs = |(n, &i): (usize, &u32)| order[..n].iter().all(|&other| key(other) != key(i));
        if order.len() <= FEW && order.iter().enumerate().all(differs) {
            return;
        }
        order.sort_unstable_by(|&a, &b| key(a).cmp(key(b)).then(a.cmp(&b)));
        let (mut from, mut kept) = (0, 0);
        while from < order.len() {
            let group = key(order[from]);
            let mut to = from + 1;
            while to < order.len() && key(order[to]) == group {
                to += 1;
            }
            let first = self.is_taken(items[order[from] as usize].known);
            order[kept] = if first { order[from] } else { order[to - 1] };
            kept += 1;
            from = to;
        }
        order.truncate(kept);
    }

    /// No block took it, or it is configured to be there all the same.
    fn is_left(&self, attr: &Attr<'a>, wanted: bool) -> bool {
        let known = attr.known;
        if known >= Key::MetadataNamespace {
            return true;
        }
        if known == Key::EndUserId || wanted && known == Key::Annotations {
            return false;
        }
        !self.is_taken(known) || self.options.is_indexed(attr.key)
    }

    fn is_taken(&self, known: Key) -> bool {
        self.taken.has(known) || self.status_text && known == Key::HttpStatusText
    }

    fn is_indexed(&self, key: &[u8]) -> bool {
        self.options.index_all_attributes || self.options.is_indexed(key)
    }

    /// No two keys can meet.
    fn is_simple(&self, order: &[u32]) -> bool {
        let items = self.attrs.items();
        let allow_dot = self.options.allow_dot;
        let fits = |key: &[u8]| !self.is_indexed(key) || is_annotation_key(key, allow_dot);
        self.wanted().is_none()
            && !self.attrs.has(Key::MetadataNamespace)
            && !self.attrs.has(Key::ResourceLike)
            && (!self.options.has_indexed() || order.iter().all(|&i| fits(items[i as usize].key)))
    }

    fn write_annotations(&self, json: &mut Json, order: &[u32]) {
        let resource = self.resource.map(|(_, storage)| &storage.annotations);
        if !self.options.has_indexed() {
            return;
        }
        let start = json.buf.len();
        json.open("annotations");
        let empty = json.buf.len();
        if let Some(resource) = resource {
            json.append(resource);
        }
        for &i in order {
            let attr = &self.attrs.items()[i as usize];
            if self.is_indexed(attr.key) && is_scalar(&attr.value) {
                json.foreign_key(attr.key);
                json.value(&attr.value);
            }
        }
        if json.buf.len() == empty {
            json.buf.truncate(start);
        } else {
            json.raw("}");
        }
    }

    fn write_metadata(&self, json: &mut Json, order: &[u32]) {
        let start = json.buf.len();
        json.open("metadata");
        json.open("default");
        let empty = json.buf.len();
        if let Some((_, resource)) = self.resource {
            json.append(&resource.metadata);
        }
        let mut present = json.buf.len() > empty;
        for &i in order {
            let attr = &self.attrs.items()[i as usize];
            if matches!(attr.value, Value::Empty) || self.is_indexed(attr.key) {
                continue;
            }
            present = true;
            if !self.resource_only {
                json.foreign_key(attr.key);
                json.value(&attr.value);
            }
        }
        if present {
            json.raw("}}");
        } else {
            json.buf.truncate(start);
        }
    }

    fn merged(&self, order: &[u32]) -> Maps<'a> {
        let wanted: Vec<&[u8]> = match self.wanted() {
            Some(Value::Array(keys)) => {
                let mut keys: Vec<_> = keys.clone().filter_map(|key| key.as_str()).collect();
                keys.sort_unstable();
                keys
            }
            _ => Vec::new(),
        };
        let mut maps = Maps::default();
        if let Some((resource, _)) = self.resource {
            maps.add_resource(resource, self.options, &wanted);
        }
        for &i in order {
            let attr = &self.attrs.items()[i as usize];
            maps.add(attr, self.options, &wanted);
        }
        if let Some(decision) = self.decision {
            maps.tell(decision, self.options);
        }
        maps
    }
}

/// The key is one of a resource.
pub(crate) fn is_resource_key(key: &[u8]) -> bool {
    key.starts_with(RESOURCE_PREFIX)
}

#[cfg(test)]
mod tests;
