//! How many mentions are recognised, and how many ordinary texts are taken for one. `docs/PRIVACY.md` states the figures.

use super::mentions_self_harm;

const CRISIS: &str = include_str!("crisis.txt");
const ORDINARY: &str = include_str!("ordinary.txt");
const DOCUMENT: &str = include_str!("../../../../../../docs/PRIVACY.md");

fn lines(file: &'static str) -> Vec<&'static str> {
    file.lines().filter(|line| !line.is_empty() && *line != "#" && !line.starts_with("# ")).collect()
}

fn recognised(lines: &[&str]) -> usize {
    lines.iter().filter(|line| mentions_self_harm(line)).count()
}

#[test]
fn mentions_are_recognised_and_ordinary_texts_are_not_as_the_document_says() {
    let (crisis, ordinary) = (lines(CRISIS), lines(ORDINARY));
    let held_out: Vec<&str> = crisis.iter().copied().skip(1).step_by(2).collect();
    let (all, of_held_out, alarms) = (recognised(&crisis), recognised(&held_out), recognised(&ordinary));
    assert!(crisis.len() >= 300 && ordinary.len() >= 1000);
    assert!(all * 100 >= crisis.len() * 95, "{all} of {}", crisis.len());
    assert!(alarms * 1000 <= ordinary.len(), "{alarms} of {}", ordinary.len());
    let stated = format!(
        "{all} of {} sentences ({of_held_out} of {} held out), and {alarms} of {} ordinary texts",
        crisis.len(),
        held_out.len(),
        ordinary.len()
    );
    let document = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(document.contains(&stated), "docs/PRIVACY.md should say: {stated}");
}
