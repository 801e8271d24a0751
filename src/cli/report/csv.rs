//! Comma-separated values, RFC 4180.

/// Rows as text. A name that a spreadsheet would take for a formula is quoted with an apostrophe.
pub fn text(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_cell() {
        let row = ["plain", "a,b", "say \"hi\"", "two\nlines", "=1+1", "-5.5"].map(str::to_owned).to_vec();
        assert_eq!(text(&[row]), "plain,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",'=1+1,-5.5\r\n");
    }
}
