//! Asks a receiver what it speaks, and stores nothing.

use super::Worker;
use super::answer::Heard;
use crate::config::ProtobufMessage;
use crate::http::chain;
use crate::sink::remote_write::Protocol;

/// What is wrong with an endpoint, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}: {next_step}")]
pub struct CheckError {
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub next_step: String,
}

impl Worker {
    /// Sends an empty request and says what the receiver speaks.
    ///
    /// # Errors
    /// [`CheckError`] where samples would not be taken.
    pub async fn check(&mut self) -> Result<String, CheckError> {
        let message = self.endpoint.protobuf_message;
        if message == ProtobufMessage::V1 {
            return self.check_one().await;
        }
        let heard = self.question(Protocol::Two).await?;
        let status = heard.status;
        match (message, heard.written) {
            (_, Some(_)) if matches!(status, 200..=299 | 400 | 406 | 422) => {
                Ok(format!("speaks remote write 2.0 ({status})"))
            }
            (ProtobufMessage::Auto, None) if (200..300).contains(&status) => {
                Ok(format!("answers {status} without Written headers: 1.0 will be used"))
            }
            (ProtobufMessage::Auto, _) if status == 415 => {
                Ok("does not know remote write 2.0 (415): 1.0 will be used".to_owned())
            }
            (ProtobufMessage::Auto, None) if matches!(status, 400 | 406 | 422) => {
                let one = self.check_one().await?;
                Ok(format!("answers {status} to remote write 2.0, {one}"))
            }
            (_, None) if matches!(status, 200..=299 | 400 | 406 | 415 | 422) => Err(CheckError {
                why: heard.why(),
                next_step: "the receiver does not know remote write 2.0: leave protobuf_message out, or set \
                            it to prometheus.WriteRequest"
                    .to_owned(),
            }),
            _ => Err(refused(&heard)),
        }
    }

    async fn check_one(&self) -> Result<String, CheckError> {
        let heard = self.question(Protocol::One).await?;
        if (200..300).contains(&heard.status) {
            Ok(format!("takes remote write 1.0 ({})", heard.status))
        } else {
            Err(refused(&heard))
        }
    }

    async fn question(&self, protocol: Protocol) -> Result<Heard, CheckError> {
        let body = protocol.question().unwrap_or_default();
        self.post(protocol, body.into(), 0)
            .await
            .map_err(|error| CheckError { why: chain(&error), next_step: error.next_step().to_owned() })
    }
}

fn refused(heard: &Heard) -> CheckError {
    CheckError { why: heard.why(), next_step: heard.next_step.clone() }
}
