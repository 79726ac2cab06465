//! A plain table for people: `build`, `list` and `doctor` use it.

use super::clean;

/// The rows under their headers, columns aligned to the left and two spaces apart. Every cell is
/// made harmless; a row that is shorter than the headers has empty cells at its end.
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let headers = headers.iter().map(|header| (*header).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(&headers)
        .chain(rows)
        .map(|row| row.iter().map(|cell| clean::word(cell)).collect())
        .collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let text = padded.collect::<Vec<_>>().join("  ");
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec![
                "docker-test/isolation:0.1.0".into(),
                "12 MiB".into(),
                "1.25 s".into(),
            ],
            vec!["caf\u{e9}".into(), "1 GiB".into()],
            vec!["##[x]\x1b".into()],
        ];
        assert_eq!(
            table(&["image", "size", "time"], &rows),
            "image                        size    time\n\
             docker-test/isolation:0.1.0  12 MiB  1.25 s\n\
             caf\u{e9}                         1 GiB\n\
             # #[x]\\x1b\n"
        );
    }
}
