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
