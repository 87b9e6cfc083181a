//! The table as Markdown.

use super::row::{HEADINGS, Row};

/// Writes the rows as a table, under lines that say where they come from.
pub fn markdown(rows: &[Row], machine: &[String]) -> String {
    let mut text = "<!-- `cargo xtask bench` writes this file. -->\n\n".to_owned();
    for line in machine {
        text += &format!("* {line}\n");
    }
    text.push('\n');
    text += &table(rows);
    text
}

/// The table alone.
fn table(rows: &[Row]) -> String {
    let mut text = line(&HEADINGS.map(str::to_owned));
    // Numbers to the right.
    let alignments = HEADINGS.map(|heading| match heading {
        "ours" | "theirs" | "ratio" => "---:".to_owned(),
        _ => "---".to_owned(),
    });
    text += &line(&alignments);
    for row in rows {
        text += &line(&row.cells().map(|cell| cell.replace('|', "\\|")));
    }
    text
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::super::row::Goal;
    use super::*;

    #[test]
    fn every_line_of_the_table_has_as_many_cells_as_there_are_headings() {
        let rows = [Row::counted("a | b", "bytes", 1.0, "c", 2.0, Goal::AtMost(1.0))];
        let text = markdown(&rows, &["a processor".to_owned()]);
        assert!(text.contains("\n* a processor\n\n| what | unit |"), "{text}");
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(lines.len(), 3);
        for line in lines {
            assert_eq!(line.replace("\\|", "").matches('|').count(), HEADINGS.len() + 1, "{line}");
        }
        assert!(
            text.ends_with("| a \\| b | bytes | 1.00 | c | 2.00 | 0.50 | exact | at most 1 | yes |\n"),
            "{text}"
        );
    }
}
