//! What a terminal shows after it was written to: enough of one for lines that are drawn, cleared and drawn again.

/// The lines on the screen, without blanks at their ends.
pub fn shown(written: &str) -> Vec<String> {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0);
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        match c {
            '\n' => row += 1,
            '\r' => column = 0,
            '\u{7}' => {}
            '\u{1b}' => {
                let Some('[') = chars.next() else { panic!("an escape of another kind in {written:?}") };
                let mut number = String::new();
                let command = loop {
                    match chars.next() {
                        Some(c @ ('0'..='9' | ';' | '?')) => number.push(c),
                        Some(c) => break c,
                        None => return finished(lines),
                    }
                };
                let count = number.parse::<usize>().unwrap_or(1);
                match command {
                    'A' => row = row.saturating_sub(count),
                    'B' => row += count,
                    'G' => column = count - 1,
                    'K' if number == "2" => lines[row].clear(),
                    'K' => lines[row].truncate(column),
                    'J' => lines.truncate(row + 1),
                    'm' | 'h' | 'l' => {}
                    other => panic!("the escape {other:?} in {written:?}"),
                }
            }
            c => {
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        while lines.len() <= row {
            lines.push(Vec::new());
        }
    }
    finished(lines)
}

fn finished(lines: Vec<Vec<char>>) -> Vec<String> {
    let lines = lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned());
    lines.collect()
}

#[test]
fn what_is_written_over_or_cleared_is_not_shown() {
    assert_eq!(shown("a\r\nb\rc"), ["a", "c"]);
    assert_eq!(shown("bar 10%\r\u{1b}[2Kline\r\n"), ["line", ""]);
    assert_eq!(shown("one\r\ntwo\u{1b}[1A\r\u{1b}[2Kthree"), ["three", "two"]);
    assert_eq!(shown("\u{1b}[32mok\u{1b}[0m"), ["ok"]);
    assert_eq!(shown("bar 10%line\r\n"), ["bar 10%line", ""], "what runs into a bar is seen");
}
