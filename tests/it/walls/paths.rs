//! Every path of a source file that leaves its module, wherever it stands: in `use` trees, expressions, types,
//! attributes, derives and macros.

use super::tokens::{Token, tokens};

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A room of this crate.
    Room(String),
    /// A crate, or a local name that looks like one.
    Foreign(String),
    /// The whole root: a glob or another name for it, behind which every room can hide.
    Root,
}

/// The room of a file under `src/`: its first folder or its own name.
pub fn room_of(file: &str) -> String {
    module_of(file).first().cloned().unwrap_or_else(|| "lib".to_owned())
}

fn module_of(file: &str) -> Vec<String> {
    let inside = file.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = inside.split('/').map(str::to_owned);
    if inside == "lib" { Vec::new() } else { parts.collect() }
}

/// All paths of a file with their lines.
pub fn paths(file: &str, source: &str) -> Vec<(usize, Target)> {
    let tokens = tokens(source);
    let mut walk =
        Walk { tokens: &tokens, at: 0, module: module_of(file), closing: Vec::new(), out: Vec::new() };
    while walk.at < tokens.len() {
        walk.step();
    }
    walk.out
}

struct Walk<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    /// Where the walk is, inline modules included.
    module: Vec<String>,
    /// For each open brace: whether it closes an inline module.
    closing: Vec<bool>,
    out: Vec<(usize, Target)>,
}

impl Walk<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(_, token)| token)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.token(ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn sign(&self, ahead: usize, sign: char) -> bool {
        self.token(ahead) == Some(&Token::Sign(sign))
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |(line, _)| *line)
    }

    fn step(&mut self) {
        match self.token(0) {
            Some(Token::Sign('{')) => self.closing.push(false),
            Some(Token::Sign('}')) => self.close(),
            Some(Token::Word(word)) => {
                match (word.as_str(), self.word(1), self.word(2)) {
                    ("mod", Some(name), _) if self.sign(2, '{') => {
                        self.module.push(name.to_owned());
                        self.closing.push(true);
                        self.at += 3;
                    }
                    ("extern", Some("crate"), Some(name)) => {
                        self.out.push((self.line(), Target::Foreign(name.to_owned())));
                        self.at += 3;
                    }
                    ("use", ..) if !self.sign(1, '<') => {
                        self.at += 1;
                        self.use_tree(&[]);
                    }
                    _ => self.path(),
                }
                return;
            }
            // What stands after a joint was read with its path; a leading one names a crate.
            Some(Token::Joint) if self.word(1).is_some() && !self.after_path() => {
                self.at += 1;
                self.path();
                return;
            }
            _ => {}
        }
        self.at += 1;
    }

    fn close(&mut self) {
        if self.closing.pop() == Some(true) {
            self.module.pop();
        }
    }

    /// Whether the joint here goes on from a type's arguments (`Vec::<u8>::new`, `<T as X>::new`).
    fn after_path(&self) -> bool {
        self.at > 0 && self.tokens[self.at - 1].1 == Token::Sign('>')
    }

    fn path(&mut self) {
        let line = self.line();
        let dot = |back: usize| {
            let token = self.at.checked_sub(back).map(|at| &self.tokens[at].1);
            token == Some(&Token::Sign('.'))
        };
        // Two dots are a range, behind which a path may stand.
        let is_field = dot(1) && !dot(2);
        let mut path = Vec::new();
        while let Some(word) = self.word(0) {
            path.push(word.to_owned());
            self.at += 1;
            if self.token(0) == Some(&Token::Joint) && self.word(1).is_some() {
                self.at += 1;
            } else {
                break;
            }
        }
        // A lone word is a local name: a crate is only ever used with something behind it.
        if path.len() > 1 && !is_field {
            self.leads(line, &path);
        }
    }

    fn use_tree(&mut self, before: &[String]) {
        let line = self.line();
        let mut path = before.to_vec();
        if self.token(0) == Some(&Token::Joint) {
            self.at += 1;
        }
        loop {
            if let Some(word) = self.word(0).map(str::to_owned) {
                // `a::{self}` is `a`.
                if word != "self" || path.is_empty() {
                    path.push(word);
                }
                self.at += 1;
                if self.token(0) == Some(&Token::Joint) {
                    self.at += 1;
                    continue;
                }
                if self.word(0) == Some("as") {
                    self.at += 2;
                }
                self.leads(line, &path);
            } else if self.sign(0, '*') {
                self.at += 1;
                self.leads(line, &path);
            } else if self.sign(0, '{') {
                self.at += 1;
                while !self.sign(0, '}') && self.token(0).is_some() {
                    self.use_tree(&path);
                    if self.sign(0, ',') {
                        self.at += 1;
                    }
                }
                self.at += 1;
            } else {
                self.at += 1;
            }
            return;
        }
    }

    fn leads(&mut self, line: usize, path: &[String]) {
        let mut absolute = match path[0].as_str() {
            "crate" | "fleetpush" => Vec::new(),
            "self" | "super" => self.module.clone(),
            name => {
                self.out.push((line, Target::Foreign(name.to_owned())));
                return;
            }
        };
        for word in path {
            match word.as_str() {
                "super" => drop(absolute.pop()),
                "self" | "crate" | "fleetpush" => {}
                word => absolute.push(word.to_owned()),
            }
        }
        self.out.push((line, absolute.first().map_or(Target::Root, |room| Target::Room(room.clone()))));
    }
}
