//! Circles in a graph whose arrows stand in lines of files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Arrows from one node to another, each with the place where it is written, for people.
pub(super) type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, String>>;

/// Circles that pass over an arrow for which `counts` holds: for each such arrow that no circle before it contains, a shortest one.
/// A circle lists its nodes, the first of them at the end again.
pub(super) fn circles<'a>(graph: &Graph<'a>, counts: impl Fn(&str, &str) -> bool) -> Vec<Vec<&'a str>> {
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    let arrows = graph.iter().flat_map(|(from, targets)| targets.keys().map(move |to| (*from, *to)));
    for (from, to) in arrows.filter(|(from, to)| counts(from, to)) {
        let Some(way) = shortest_way(graph, to, from).filter(|_| !seen.contains(&(from, to))) else { continue };
        let circle: Vec<_> = [from].into_iter().chain(way).collect();
        seen.extend(circle.windows(2).map(|pair| (pair[0], pair[1])));
        circles.push(circle);
    }
    circles.sort_by_key(Vec::len);
    circles
}

fn shortest_way<'a>(graph: &Graph<'a>, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut before = BTreeMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        if node == to {
            let mut way: Vec<_> = std::iter::successors(Some(node), |node| before[node]).collect();
            way.reverse();
            return Some(way);
        }
        for next in graph.get(node).into_iter().flat_map(BTreeMap::keys) {
            if !before.contains_key(next) {
                before.insert(*next, Some(node));
                queue.push_back(*next);
            }
        }
    }
    None
}

/// The places of the circle's arrows: `a.rs:1 -> b.rs:2 -> a.rs`.
pub(super) fn describe(graph: &Graph<'_>, circle: &[&str]) -> String {
    let places = circle.windows(2).map(|pair| graph[pair[0]][pair[1]].as_str());
    places.chain(circle.last().copied()).collect::<Vec<_>>().join(" -> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(&'static str, &'static str)]) -> Graph<'static> {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph.entry(*from).or_default().insert(*to, format!("{from}.rs:1"));
        }
        graph
    }

    #[test]
    fn each_circle_is_found_once_and_the_shortest_come_first() {
        let graph = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "c"), ("e", "a")]);
        let circles = circles(&graph, |_, _| true);
        assert_eq!(circles, [vec!["c", "d", "c"], vec!["a", "b", "c", "a"]]);
        assert_eq!(describe(&graph, &circles[0]), "c.rs:1 -> d.rs:1 -> c");
    }

    #[test]
    fn a_circle_without_an_arrow_that_counts_is_none() {
        let graph = graph(&[("a", "b"), ("b", "a")]);
        assert!(circles(&graph, |from, to| from == to).is_empty());
    }
}
