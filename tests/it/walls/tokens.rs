//! Rust source as words: comments and strings are gone, lines are kept.

/// What a path is made of; everything else is punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    /// `::`
    Joint,
    Sign(char),
}

/// The tokens with their lines. A string inside an attribute that is nothing but a path is read as one,
/// since derives take paths like that.
pub fn tokens(source: &str) -> Vec<(usize, Token)> {
    let mut reader = Reader { rest: source.chars().collect(), at: 0, line: 1, out: Vec::new() };
    while reader.at < reader.rest.len() {
        reader.step();
    }
    with_paths_of_attributes(reader.out)
}

enum Piece {
    Token(Token),
    Text(String),
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    line: usize,
    out: Vec<(usize, Piece)>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn step(&mut self) {
        let line = self.line;
        match (self.peek(0), self.peek(1)) {
            (Some('/'), Some('/')) => {
                while self.peek(0).is_some_and(|c| c != '\n') && self.next().is_some() {}
            }
            (Some('/'), Some('*')) => self.block_comment(),
            (Some('"'), _) => self.string(line),
            (Some('\''), _) => self.character_or_lifetime(),
            (Some(':'), Some(':')) => {
                self.at += 2;
                self.out.push((line, Piece::Token(Token::Joint)));
            }
            (Some(c), _) if c.is_alphabetic() || c == '_' => self.word(line),
            (Some(c), _) if c.is_ascii_digit() => {
                while self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    self.at += 1;
                }
            }
            (Some(c), _) => {
                self.next();
                if !c.is_whitespace() {
                    self.out.push((line, Piece::Token(Token::Sign(c))));
                }
            }
            (None, _) => {}
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => (depth, self.at) = (depth + 1, self.at + 2),
                (Some('*'), Some('/')) => (depth, self.at) = (depth - 1, self.at + 2),
                _ if self.next().is_none() => return,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self, line: usize) {
        self.next();
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '"' => break,
                '\\' => {
                    self.next();
                    text.push('\\');
                }
                other => text.push(other),
            }
        }
        self.out.push((line, Piece::Text(text)));
    }

    fn raw_string(&mut self, line: usize, hashes: usize) {
        let mut text = String::new();
        while let Some(c) = self.next() {
            if c == '"' && (0..hashes).all(|n| self.peek(n) == Some('#')) {
                self.at += hashes;
                break;
            }
            text.push(c);
        }
        self.out.push((line, Piece::Text(text)));
    }

    fn character_or_lifetime(&mut self) {
        match (self.peek(1), self.peek(2)) {
            (Some('\\'), _) => {
                self.at += 3;
                while self.next().is_some_and(|c| c != '\'') {}
            }
            (Some(_), Some('\'')) => {
                for _ in 0..3 {
                    self.next();
                }
            }
            // A lifetime or a label: its name is no path.
            _ => {
                self.at += 1;
                while self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    self.at += 1;
                }
            }
        }
    }

    fn word(&mut self, line: usize) {
        let start = self.at;
        while self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        let word: String = self.rest[start..self.at].iter().collect();
        let hashes = (0..).take_while(|n| self.peek(*n) == Some('#')).count();
        let is_prefix = ["r", "b", "c", "br", "cr"].contains(&word.as_str());
        if is_prefix && self.peek(hashes) == Some('"') {
            if word.ends_with('r') {
                self.at += hashes + 1;
                self.raw_string(line, hashes);
            } else if hashes == 0 {
                self.string(line);
            }
        } else if word == "b" && self.peek(0) == Some('\'') {
            self.character_or_lifetime();
        } else if word == "r" && hashes == 1 {
            // A raw identifier: the word after it is what counts.
            self.at += 1;
        } else {
            self.out.push((line, Piece::Token(Token::Word(word))));
        }
    }
}

fn with_paths_of_attributes(pieces: Vec<(usize, Piece)>) -> Vec<(usize, Token)> {
    let (mut out, mut depth): (Vec<(usize, Token)>, usize) = (Vec::new(), 0);
    for (line, piece) in pieces {
        match piece {
            Piece::Text(text) if depth > 0 && is_path(&text) => {
                for (position, word) in text.split("::").enumerate() {
                    if position > 0 {
                        out.push((line, Token::Joint));
                    }
                    out.push((line, Token::Word(word.to_owned())));
                }
            }
            // Its place is kept, so that what stands around it is not joined.
            Piece::Text(_) => out.push((line, Token::Sign('"'))),
            Piece::Token(token) => {
                let opens = matches!(
                    out.as_slice(),
                    [.., (_, Token::Sign('#'))] | [.., (_, Token::Sign('#')), (_, Token::Sign('!'))]
                );
                match token {
                    Token::Sign('[') if depth > 0 || opens => depth += 1,
                    Token::Sign(']') if depth > 0 => depth -= 1,
                    _ => {}
                }
                out.push((line, token));
            }
        }
    }
    out
}

fn is_path(text: &str) -> bool {
    let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_alphanumeric() || c == '_');
    text.contains("::") && text.split("::").all(word)
}
