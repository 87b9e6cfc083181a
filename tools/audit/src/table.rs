//! A table of text with aligned columns.

use std::fmt;

/// Two blanks separate columns.
const GAP: usize = 2;

/// A table: a heading, then rows. A column that holds a number is right-aligned, any other is
/// left-aligned.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

/// What the rows together say about a column.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    width: usize,
    is_right_aligned: bool,
}

impl Table {
    /// A table with the given column headings.
    pub fn new(headings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut table = Self::default();
        table.row(headings);
        table
    }

    /// Adds a row. It may be shorter than the heading.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn columns(&self) -> Vec<Column> {
        let mut columns = Vec::new();
        for row in &self.rows {
            columns.resize(row.len().max(columns.len()), Column::default());
            for (column, cell) in columns.iter_mut().zip(row) {
                column.width = column.width.max(cell.chars().count());
                column.is_right_aligned |= is_number(cell);
            }
        }
        columns
    }
}

fn is_number(cell: &str) -> bool {
    !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, &Column { width, is_right_aligned }) in row.iter().zip(&columns) {
                line += &if is_right_aligned { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
                line += &" ".repeat(GAP);
            }
            writeln!(f, "{}", line.trim_end())?;
            if index == 0 {
                let widths: usize = columns.iter().map(|column| column.width).sum();
                let length = widths + GAP * columns.len().saturating_sub(1);
                writeln!(f, "{}", "-".repeat(length))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["check", "native", "rom"]);
        table.row(["irq.nesting", "ok", "FAIL"]);
        table.row(["ticks", "2000", "17"]);
        assert_eq!(
            table.to_string(),
            "check        native   rom\n\
             -------------------------\n\
             irq.nesting      ok  FAIL\n\
             ticks          2000    17\n"
        );
    }

    #[test]
    fn a_short_row_and_wide_characters_do_not_shift_the_columns() {
        let mut table = Table::new(["a", "b"]);
        table.row(["µs"]);
        table.row(["x", "y"]);
        assert_eq!(table.to_string(), "a   b\n-----\nµs\nx   y\n");
        assert_eq!(Table::new(["wide", "1.5"]).to_string(), "wide  1.5\n---------\n");
    }

    #[test]
    fn a_table_without_rows_is_its_heading() {
        assert_eq!(Table::new(["a"]).to_string(), "a\n-\n");
        assert_eq!(Table::default().to_string(), "");
    }
}
