use super::*;

/// Callers whose names begin alike are a group: `a1` and `a2`.
fn caller(name: &str) -> Caller {
    Caller::in_group(&name[..1], name)
}

fn queue(capacity: usize, work: &[&'static str]) -> FairQueue<&'static str> {
    let mut queue = FairQueue::new(capacity);
    for name in work {
        assert_eq!(queue.push(caller(name), *name), None);
    }
    queue
}

fn rest(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
    let mut popped = Vec::new();
    while let Some(work) = queue.pop() {
        popped.push(work);
    }
    assert!(queue.is_empty());
    popped
}

#[test]
fn callers_are_served_by_turns_and_groups_share_a_turn() {
    let mut queue = queue(9, &["a1", "a1", "a1", "a2", "a2", "b1", "b1", "c1"]);
    assert_eq!(rest(&mut queue), ["a1", "b1", "c1", "a2", "b1", "a1", "a2", "a1"]);
}

#[test]
fn the_newest_work_of_the_largest_caller_gives_way() {
    let mut full = queue(4, &["a1", "a1", "a1", "b1"]);
    assert_eq!(full.push(caller("c1"), "c1"), Some(Displaced { work: "a1", is_over_share: true }));
    assert_eq!(full.push(caller("a1"), "late"), Some(Displaced { work: "late", is_over_share: true }));
    assert_eq!(rest(&mut full), ["a1", "b1", "c1", "a1"]);
}

#[test]
fn many_networks_of_one_group_displace_one_another_and_no_other_group() {
    let mut full = queue(4, &["a1", "a2", "a3", "b1"]);
    assert_eq!(full.push(caller("a4"), "a4"), Some(Displaced { work: "a4", is_over_share: true }));
    assert_eq!(full.push(caller("c1"), "c1"), Some(Displaced { work: "a3", is_over_share: true }));
    assert_eq!(rest(&mut full), ["a1", "b1", "c1", "a2"]);
}

#[test]
fn among_equal_callers_the_newcomer_finds_no_place() {
    let mut full = queue(3, &["a1", "b1", "c1"]);
    assert_eq!(full.push(caller("d1"), "d1"), Some(Displaced { work: "d1", is_over_share: false }));
    assert_eq!(full.len(), 3);
}

/// The same by the simplest means: one list, in the order of arrival.
#[derive(Default)]
struct Model {
    waiting: Vec<(u64, u64)>,
    turns: Vec<u64>,
}

impl Model {
    fn push(&mut self, caller: u64, work: u64) {
        if !self.turns.contains(&caller) {
            self.turns.push(caller);
        }
        self.waiting.push((caller, work));
    }

    fn pop(&mut self) -> Option<u64> {
        let caller = *self.turns.first()?;
        let first = self.waiting.iter().position(|(of, _)| *of == caller)?;
        let (_, work) = self.waiting.remove(first);
        self.turns.remove(0);
        self.turns.push(caller);
        self.forget_empty();
        Some(work)
    }

    fn displace(&mut self, newcomer: u64) -> u64 {
        let size = |caller: u64| self.waiting.iter().filter(|(of, _)| *of == caller).count();
        let largest = self.turns.iter().map(|caller| size(*caller)).max().expect("there is work");
        let last = self.turns.iter().rfind(|caller| size(**caller) == largest).expect("the largest");
        let victim = if size(newcomer) == largest { newcomer } else { *last };
        let newest = self.waiting.iter().rposition(|(of, _)| *of == victim).expect("it waits");
        let (_, work) = self.waiting.remove(newest);
        self.forget_empty();
        work
    }

    fn forget_empty(&mut self) {
        self.turns.retain(|caller| self.waiting.iter().any(|(of, _)| of == caller));
    }
}

#[test]
fn the_queue_does_what_a_simple_list_does() {
    let (mut queue, mut model) = (FairQueue::new(12), Model::default());
    let mut state = 7_u64;
    for work in 0..20_000 {
        // Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (caller, choice) = ((state >> 33) % 7, (state >> 40) % 10);
        if choice < 6 {
            model.push(caller, work);
            let displaced = (model.waiting.len() > 12).then(|| model.displace(caller));
            let found = queue.push(Caller::alone(caller.to_string()), work).map(|displaced| displaced.work);
            assert_eq!(found, displaced, "step {work}");
        } else if choice < 9 {
            assert_eq!(queue.pop(), model.pop(), "step {work}");
        } else {
            queue.retain(|work| work % 5 != 0);
            model.waiting.retain(|(_, work)| work % 5 != 0);
            model.forget_empty();
        }
        assert_eq!(queue.len(), model.waiting.len());
    }
}

#[test]
fn unwanted_work_uses_up_no_turn() {
    let mut queue = queue(9, &["a1", "a1", "b1"]);
    assert_eq!(queue.push(caller("a1"), "late"), None);
    let mut left = Vec::new();
    assert_eq!(queue.pop_wanted(|work| *work == "late", |work| left.push(work)), Some("late"));
    assert_eq!((left, rest(&mut queue)), (vec!["a1", "a1"], vec!["b1"]));
}

#[test]
fn a_caller_that_is_not_ready_keeps_its_turn() {
    let mut queue = queue(9, &["a1", "a2", "b1", "b1"]);
    assert_eq!(queue.pop_of(|caller| *caller.key != *"a1"), Some((caller("a2"), "a2")));
    assert_eq!(queue.pop_of(|caller| *caller.group != *"a"), Some((caller("b1"), "b1")));
    assert_eq!(queue.pop_of(|caller| *caller.key == *"c1"), None);
    assert!(queue.any_of(|caller| *caller.key == *"a1") && !queue.any_of(|caller| *caller.key == *"a2"));
    assert_eq!(rest(&mut queue), ["a1", "b1"]);
}

#[test]
fn unwanted_work_leaves_its_place() {
    let mut queue = queue(4, &["a1", "a2", "b1"]);
    queue.retain(|work| *work != "a1" && *work != "b1");
    assert_eq!((queue.len(), rest(&mut queue)), (1, vec!["a2"]));
}

#[test]
fn heavy_work_waits_for_as_many_turns_as_it_weighs() {
    let mut queue = FairQueue::new(20);
    assert!(queue.push_weighted(caller("a1"), 3, "heavy").is_empty());
    for name in ["a1", "b1", "b1", "b1", "b1", "c1"] {
        assert_eq!(queue.push(caller(name), name), None);
    }
    assert_eq!(rest(&mut queue), ["b1", "c1", "b1", "heavy", "b1", "a1", "b1"]);
}

#[test]
fn heavy_work_of_all_callers_alike_is_served_as_light_work_is() {
    let mut queue = FairQueue::new(100);
    for name in ["a1", "a1", "b1", "a1", "b1", "c1"] {
        assert!(queue.push_weighted(caller(name), 8, name).is_empty());
    }
    assert_eq!(rest(&mut queue), ["a1", "b1", "c1", "a1", "b1", "a1"]);
}

#[test]
fn heavy_work_takes_as_many_places_as_it_weighs() {
    let mut full = queue(8, &["a1", "a1", "a1", "a1"]);
    assert!(full.has_places_for(4) && !full.has_places_for(5) && !full.is_full());
    let displaced: Vec<_> =
        full.push_weighted(caller("b1"), 6, "heavy").into_iter().map(|displaced| displaced.work).collect();
    assert_eq!(displaced, ["a1", "a1"]);
    assert!(full.is_full() && full.len() == 3);
    let displaced = full.push_weighted(caller("c1"), 6, "late").into_iter().map(|displaced| displaced.work);
    assert_eq!(displaced.collect::<Vec<_>>(), ["a1", "late"], "one caller has most waiting, and then all have one");
    assert_eq!(rest(&mut full), ["a1", "heavy"]);
    assert!(full.has_places_for(8) && !full.has_places_for(9), "every place is free again");
}

#[test]
fn work_heavier_than_the_queue_has_a_place_in_an_empty_one() {
    let mut queue = FairQueue::new(4);
    assert!(queue.push_weighted(caller("a1"), usize::MAX, "heavy").is_empty());
    assert!(queue.is_full());
    assert_eq!(queue.push(caller("b1"), "b1"), Some(Displaced { work: "b1", is_over_share: false }));
    queue.retain(|_| false);
    assert!(queue.is_empty() && queue.has_places_for(4));
}

#[test]
fn the_weight_of_what_is_left_or_taken_out_of_turn_is_free_again() {
    let mut queue = FairQueue::new(9);
    for (name, weight) in [("a1", 3), ("a1", 1), ("b1", 5)] {
        assert!(queue.push_weighted(caller(name), weight, weight).is_empty());
    }
    assert_eq!(queue.pop_wanted(|weight| *weight != 3, drop), Some(1));
    assert_eq!(queue.pop_of(|_| true), Some((caller("b1"), 5)));
    assert!(queue.is_empty() && queue.has_places_for(9));
}
