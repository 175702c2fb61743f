//! Which of a call's documents an answer speaks of.

use super::call::{Document, Unprocessed};

/// What an answer says of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Accepted,
    /// In this entry.
    Unprocessed(usize),
    /// An entry is of this one or of another.
    Unclear,
}

/// What an answer with these entries says of each document. X-Ray names documents by their ids, or
/// does not; and two can have the same.
pub(super) fn told(call: &[Document], unprocessed: &[Unprocessed]) -> Vec<Told> {
    if unprocessed.is_empty() || call.len() == 1 {
        let told = if unprocessed.is_empty() { Told::Accepted } else { Told::Unprocessed(0) };
        return vec![told; call.len()];
    }
    let ids: Vec<_> = call.iter().map(Document::id).collect();
    let named: Vec<_> = unprocessed.iter().map(|u| u.id.as_ref().map(String::as_bytes)).collect();
    let known = |name: &Option<&[u8]>| name.is_some() && ids.contains(name);
    let others = if named.iter().all(known) { Told::Accepted } else { Told::Unclear };
    let tell = |(n, id): (usize, &Option<&[u8]>)| {
        let is_its = |entry: &usize| id.is_some() && named[*entry] == *id;
        let entries: Vec<usize> = (0..named.len()).filter(is_its).collect();
        let twins = |ids: &[Option<&[u8]>]| ids.iter().filter(|twin| *twin == id).count();
        match entries.len() {
            0 => others,
            few if few < twins(&ids) => Told::Unclear,
            // The first of them is in the first entry, and so on.
            _ => Told::Unprocessed(entries[twins(&ids[..n])]),
        }
    };
    ids.iter().enumerate().map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::super::call::Vain;
    use super::*;

    fn document(id: &str) -> Document {
        let text = format!(r#"{{\"name\":\"n\",\"id\":\"{id}\",\"trace_id\":\"t\"}}"#);
        Document { item: 0, span: 0, escaped: text.into(), vain: Vain::default() }
    }

    #[test]
    fn documents_are_told_apart_by_their_ids() {
        use Told::{Accepted, Unclear, Unprocessed as In};
        let table: [(&[&str], &[&str], &[Told]); 9] = [
            (&["a", "b"], &[], &[Accepted, Accepted]),
            (&["a", "b", "c"], &["c", "a"], &[In(1), Accepted, In(0)]),
            // No id, or that of none of them.
            (&["a", "b"], &["b", ""], &[Unclear, In(0)]),
            (&["a", "b"], &["x"], &[Unclear, Unclear]),
            (&["a"], &["x"], &[In(0)]),
            (&["a"], &[""], &[In(0)]),
            // Two with one id.
            (&["a", "b", "a"], &["a"], &[Unclear, Accepted, Unclear]),
            (&["a", "b", "a"], &["a", "a"], &[In(0), Accepted, In(1)]),
            (&["a", "b"], &["a", "a"], &[In(0), Accepted]),
        ];
        for (call, entries, wanted) in table {
            let documents: Vec<_> = call.iter().map(|id| document(id)).collect();
            let entry = |id: &&str| Unprocessed {
                id: Some((*id).to_owned()).filter(|id| !id.is_empty()),
                ..Unprocessed::default()
            };
            let unprocessed: Vec<_> = entries.iter().map(entry).collect();
            assert_eq!(told(&documents, &unprocessed), wanted, "{call:?} {entries:?}");
        }
    }
}
