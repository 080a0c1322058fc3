//! Collections large enough for blocks and windows to be left out, which must change nothing.

use super::*;

/// Words of which the first are in most documents and the last in few.
const WORDS: [&str; 9] = ["the", "of", "for", "lib", "data", "rare", "odd", "once", "other"];

/// Few distinct documents, so that many are equal.
fn small_document() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&[0_usize, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 8][..]);
    prop::collection::vec(word, 1..6).prop_map(|words| joined(&words))
}

fn joined(words: &[usize]) -> String {
    words.iter().map(|&word| WORDS[word]).collect::<Vec<_>>().join(" ")
}

/// An index of many documents: templates again and again, and some with rare words or many words.
fn many(templates: &[String], rows: usize, seed: usize) -> Index {
    let mut index = Index::new();
    for row in 0..rows {
        let mixed = row.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 7;
        let mut text = templates[mixed % templates.len()].clone();
        if mixed % 97 == 0 {
            text = format!("{text} {} {text}", WORDS[5 + mixed % 3]);
        }
        if row % 331 == 7 {
            text = format!("{text} once {}", "of filler ".repeat(mixed % 40));
        }
        let value = serde_json::json!({"t": text, "u": WORDS[mixed % 5]});
        assert_eq!(index.add(value.to_string().as_bytes()).map(|at| at as usize), Ok(row));
    }
    index
}

fn clause() -> impl Strategy<Value = String> {
    let word = || prop::sample::select(&WORDS[..]).prop_map(str::to_owned);
    let one = prop_oneof![
        8 => word(),
        1 => (word(), word()).prop_map(|(one, other)| format!("\"{one} {other}\"")),
        1 => Just("o*".to_owned()),
        1 => Just("nowhere".to_owned()),
    ];
    let sign = prop::sample::select(&["", "", "", "", "", "", "+", "-"][..]);
    (sign, one).prop_map(|(sign, one)| format!("{sign}{one}"))
}

/// What may be found: the current rows or some, and of these all or some.
#[derive(Clone, Copy, Debug)]
struct Seen {
    among: Option<usize>,
    accepted: Option<u32>,
}

/// The best `k` are the first of all, which are found without leaving anything out.
fn check(index: &mut Index, text: &str, boosts: &Boosts, seen: Seen, k: usize) {
    let fields = boosts.as_ref().map_or(Fields::All, |boosts| Fields::Some(boosts));
    let query = Query::parse(text, fields).unwrap();
    let rows = index.end();
    let mut bits = vec![0; rows.div_ceil(64) as usize];
    if let Some(step) = seen.among {
        (0..rows).step_by(step).for_each(|row| bitmap::set(&mut bits, row, true));
    }
    let among = if seen.among.is_some() { Among::Bitmap(&bits) } else { Among::Current };
    let accept = |row: u32| seen.accepted.is_none_or(|modulus| row % modulus == 1);
    let tie = |a: u32, b: u32| (a % 7, a).cmp(&(b % 7, b));
    let everything = rows as usize + 1;
    let mut all = index.search(&query, among, &accept, everything, &tie).unwrap().hits;
    all.truncate(k);
    assert_eq!(index.search(&query, among, &accept, k, &tie).unwrap().hits, all, "{text} {seen:?}");
}

/// A judge that wants the best so many of what it is told.
struct Best {
    wanted: usize,
    named: Vec<f64>,
    found: Vec<(u32, f64)>,
}

impl Judge for Best {
    fn named(&mut self, share: f64) {
        self.named.push(share);
    }

    fn least(&self) -> f64 {
        let mut shares: Vec<f64> = self.found.iter().map(|found| found.1).collect();
        shares.extend(&self.named);
        shares.sort_by(|one, other| other.total_cmp(one));
        shares.get(self.wanted - 1).copied().unwrap_or(0.0)
    }

    fn found(&mut self, row: u32, share: f64) {
        self.found.push((row, share));
    }
}

/// A judge is told of all that may matter to it, and how well it fits.
fn check_judge(index: &mut Index, text: &str, boosts: &Boosts, named: &[u32], wanted: usize) {
    let fields = boosts.as_ref().map_or(Fields::All, |boosts| Fields::Some(boosts));
    let query = Query::parse(text, fields).unwrap();
    let everything = index.end() as usize + 1;
    let answer = index.search(&query, Among::Current, &|_| true, everything, &by_row).unwrap();
    let share = |row: u32| {
        let hit = answer.hits.iter().find(|hit| hit.row == row);
        hit.map_or(0.0, |hit| f64::from(hit.score) / answer.ideal)
    };
    let near = |one: f64, other: f64| (one - other).abs() <= 1e-6;
    let mut judge = Best { wanted, named: Vec::new(), found: Vec::new() };
    index.rank(&query, Among::Current, named, &mut judge).unwrap();
    assert_eq!(judge.named.len(), named.len());
    for (&row, &told) in named.iter().zip(&judge.named) {
        assert!(near(told, share(row)), "{text} {row}: {told}");
    }
    assert!(judge.found.is_sorted_by(|one, other| one.0 < other.0), "{text}");
    for &(row, told) in &judge.found {
        assert!(!named.contains(&row) && near(told, share(row)), "{text} {row}: {told}");
    }
    let least = judge.least();
    for hit in &answer.hits {
        let told = named.contains(&hit.row) || judge.found.iter().any(|found| found.0 == hit.row);
        assert!(told || share(hit.row) <= least + 1e-6, "{text}: {} is missing", hit.row);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_judge_is_told_of_all_that_matters(
        templates in prop::collection::vec(small_document(), 1..12),
        (rows, seed) in (1_usize..2_500, any::<u16>()),
        queries in prop::collection::vec(
            (prop::collection::vec(clause(), 0..6), boosts(), 1_usize..20, 1_usize..12),
            6,
        ),
    ) {
        let mut index = many(&templates, rows, usize::from(seed));
        for (words, boosts, every, wanted) in &queries {
            let named: Vec<u32> = (0..index.end()).step_by(101 * every).collect();
            check_judge(&mut index, &words.join(" "), boosts, &named, *wanted);
        }
    }

    #[test]
    fn leaving_out_changes_nothing(
        templates in prop::collection::vec(small_document(), 1..12),
        (rows, seed) in (1_usize..4_000, any::<u16>()),
        retired in prop::option::of(2_u32..50),
        queries in prop::collection::vec(
            (
                prop::collection::vec(clause(), 1..6), boosts(),
                (prop::option::of(1_usize..5), prop::option::of(2_u32..9)), 1_usize..25,
            ),
            8,
        ),
    ) {
        let mut index = many(&templates, rows, usize::from(seed));
        for (words, boosts, (among, accepted), k) in &queries {
            check(&mut index, &words.join(" "), boosts, Seen { among: *among, accepted: *accepted }, *k);
        }
        for row in (0..index.end()).step_by(retired.unwrap_or(1) as usize) {
            if row % 3 == 0 { index.erase(row) } else { index.retire(row) }
        }
        for compacts in [false, true] {
            if compacts {
                index.compact().unwrap();
            }
            for (words, _, (among, accepted), k) in &queries {
                let seen = Seen { among: *among, accepted: *accepted };
                check(&mut index, &words.join(" "), &None, seen, *k);
            }
        }
    }
}
