//! Dotted paths, and the tree of all the paths that a filter reads.
//!
//! The tree has a node for each place that some condition tests or passes through. Conditions are
//! numbered in the order of the tree, depth first, so that those at and below any node are a range:
//! [`Node::all`]. An evaluation that meets a member twice takes back that range.

use core::ops::Range;

use crate::query::evaluate::Test;
use crate::sort::sort_by;

/// A dotted path, split.
pub(super) type Path = Vec<Box<[u8]>>;

/// The members that `path` names, one inside the other. An empty part names the empty member.
pub(super) fn split(path: &[u8]) -> Path {
    path.split(|&byte| byte == b'.').map(Box::from).collect()
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The member that it names.
    pub(super) name: Box<[u8]>,
    /// The element of an array that it names.
    pub(super) index: Option<u64>,
}

/// The parts of a path, each with what it means in an array.
pub(super) fn parts(path: &[u8]) -> Vec<Part> {
    split(path).into_iter().map(|name| Part { index: index(&name), name }).collect()
}

/// The element of an array that a part of a path names: `0`, `1`, `25`, but not `01` or `-1`.
/// An index beyond 64 bits is that of no element.
fn index(part: &[u8]) -> Option<u64> {
    let canonical =
        part.iter().all(u8::is_ascii_digit) && (part.len() == 1 || !part.starts_with(b"0"));
    if part.is_empty() || !canonical {
        return None;
    }
    let text = core::str::from_utf8(part).ok()?;
    Some(text.parse().unwrap_or(u64::MAX))
}

/// One condition of a filter: a test of what a path leads to.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    /// Its number in the filter's expression.
    pub(super) number: usize,
    /// Its path as it was written.
    pub(super) name: Box<str>,
    pub(super) path: Path,
    pub(super) test: Test,
}

/// A place in documents.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// The position of the first of [`Self::tests`] in the order of the tree.
    first: usize,
    /// The tests of the values here.
    pub(super) tests: Vec<Test>,
    /// Whether a test compares with an array or object, so that those here are read as trees.
    pub(super) deep: bool,
    /// One past the position of the last test at or below this node.
    end: usize,
    /// The places below, by the name of the member that leads there.
    children: Vec<Child>,
    /// Those of them whose name is an index: the index and the position in `children`, ascending.
    indexed: Vec<(u64, usize)>,
}

/// A place below another.
#[derive(Clone, Debug)]
struct Child {
    name: Box<[u8]>,
    is_index: bool,
    node: Node,
}

impl Node {
    /// The tree of these conditions, the path of each by its position in the tree's order, and the
    /// position of each by its number. Recursion is as deep as the longest path.
    pub(super) fn tree(mut conditions: Vec<Condition>) -> (Self, Vec<Box<str>>, Vec<usize>) {
        // A path sorts before those that it begins, and its parts compare one by one: depth first.
        sort_by(&mut conditions, |left, right| left.path.cmp(&right.path));
        let mut positions = vec![0; conditions.len()];
        for (position, condition) in conditions.iter().enumerate() {
            if let Some(place) = positions.get_mut(condition.number) {
                *place = position;
            }
        }
        let tree = Self::build(&mut conditions, 0, 0);
        (tree, conditions.into_iter().map(|condition| condition.name).collect(), positions)
    }

    /// The node that the first `depth` parts of these paths lead to; its first test is at `first`.
    fn build(mut rest: &mut [Condition], first: usize, depth: usize) -> Self {
        let mut node = Self { first, ..Self::default() };
        let here = rest.partition_point(|condition| condition.path.len() == depth);
        let (tested, mut below) = rest.split_at_mut(here);
        for condition in tested {
            node.deep |= condition.test.is_deep();
            node.tests.push(core::mem::replace(&mut condition.test, Test::Exists));
        }
        node.end = first + here;
        while let Some(first) = below.first() {
            let same = |other: &Condition| other.path.get(depth) == first.path.get(depth);
            (rest, below) = below.split_at_mut(below.partition_point(same));
            let part = rest.first_mut().and_then(|first| first.path.get_mut(depth));
            let part = part.map(core::mem::take).unwrap_or_default();
            let child = Self::build(rest, node.end, depth + 1);
            node.end = child.end;
            let index = index(&part);
            node.indexed.extend(index.map(|index| (index, node.children.len())));
            node.children.push(Child { name: part, is_index: index.is_some(), node: child });
        }
        crate::sort::sort(&mut node.indexed);
        node
    }

    /// The tests, by their positions.
    pub(super) fn all_tests(&self) -> Vec<&Test> {
        let mut out = Vec::with_capacity(self.end);
        self.append_tests(&mut out);
        out
    }

    fn append_tests<'a>(&'a self, out: &mut Vec<&'a Test>) {
        out.extend(&self.tests);
        for child in &self.children {
            child.node.append_tests(out);
        }
    }

    /// The position of the first test here.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// The positions of the tests here and below.
    pub(super) fn all(&self) -> Range<usize> {
        self.first..self.end
    }

    /// Whether any path goes on below.
    pub(super) fn has_children(&self) -> bool {
        !self.children.is_empty()
    }

    /// Whether any path goes on below by a name that is no index, as it does through the elements of
    /// an array.
    pub(super) fn fans_out(&self) -> bool {
        self.indexed.len() < self.children.len()
    }

    /// The place below by the member of this name; for an element of an array that is fanned out,
    /// not if the name is an index.
    #[inline(always)]
    pub(super) fn member(&self, name: &[u8], fanned: bool) -> Option<&Self> {
        let child = if self.children.len() <= 8 {
            self.children.iter().find(|child| *child.name == *name)?
        } else {
            let place = self.children.binary_search_by(|child| (*child.name).cmp(name)).ok()?;
            self.children.get(place)?
        };
        (!fanned || !child.is_index).then_some(&child.node)
    }

    /// The places below by index, ascending.
    pub(super) fn elements(&self) -> impl Iterator<Item = (u64, &Self)> {
        self.indexed.iter().filter_map(|&(index, place)| {
            self.children.get(place).map(|child| (index, &child.node))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_canonical_digits() {
        for (part, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("120", Some(120)),
            ("18446744073709551616", Some(u64::MAX)),
            ("", None),
            ("00", None),
            ("01", None),
            ("-1", None),
            ("1a", None),
            ("x", None),
        ] {
            assert_eq!(index(part.as_bytes()), expected, "{part}");
        }
    }

    #[test]
    fn the_tests_below_a_node_are_a_range() {
        let paths = ["b", "a.c", "a", "a-b", "a.b.c", "a", "b.10", "b.9", "", "a."];
        let conditions = paths.iter().enumerate().map(|(number, path)| Condition {
            number,
            name: (*path).into(),
            path: split(path.as_bytes()),
            test: Test::Exists,
        });
        let (tree, names, positions) = Node::tree(conditions.collect());
        assert!(paths.iter().zip(&positions).all(|(path, at)| *names[*at] == **path));
        assert_eq!(tree.all_tests().len(), paths.len());
        assert_eq!(tree.all(), 0..paths.len());
        let at = |number: usize| positions[number];
        let a = tree.member(b"a", false).unwrap();
        assert_eq!((a.tests.len(), a.all().len()), (2, 5));
        for number in [1, 2, 4, 5, 9] {
            assert!(a.all().contains(&at(number)), "{}", paths[number]);
        }
        let c = a.member(b"b", true).unwrap().member(b"c", true).unwrap();
        assert_eq!((c.first(), c.all()), (at(4), at(4)..at(4) + 1));
        let b = tree.member(b"b", false).unwrap();
        assert_eq!(b.elements().map(|(index, _)| index).collect::<Vec<_>>(), [9, 10]);
        assert!(!b.fans_out() && b.member(b"9", true).is_none() && b.member(b"9", false).is_some());
        assert_eq!(tree.member(b"", false).unwrap().first(), at(8));
    }
}
