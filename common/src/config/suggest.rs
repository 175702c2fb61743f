//! "Did you mean": the known word nearest to a misspelt one.

/// Longest word compared; distance costs the product of both lengths.
const MAX_LEN: usize = 64;

/// The candidate nearest to `word`, if it is near enough to be a slip: at most a third of the
/// longer word's letters, swaps counted once, case and `-`/`_` ignored.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    if folded.is_empty() || folded.len() > MAX_LEN {
        return None;
    }
    candidates
        .into_iter()
        .filter(|c| c.len() <= MAX_LEN)
        .map(|c| {
            let other = fold(c);
            (distance(&folded, &other), folded.len().max(other.len()), c)
        })
        .filter(|(d, len, _)| *d <= (len / 3).max(1))
        .min_by_key(|(d, _, _)| *d)
        .map(|(_, _, c)| c)
}

fn fold(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Optimal string alignment: inserts, deletes, replacements and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_only() {
        let known = ["decision_wait", "num_traces", "policies"];
        for (word, want) in [
            ("decison_wait", Some("decision_wait")),
            ("decision-wait", Some("decision_wait")),
            ("numTraces", Some("num_traces")),
            ("polcies", Some("policies")),
            ("oplicies", Some("policies")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), want, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }
}
