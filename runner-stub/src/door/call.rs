//! The calls behind the paths, and the shapes of their bodies.

use serde_json::Value;

use super::response::Response;
use crate::helper_call::{Reply, Request, Scope};

#[derive(Debug, PartialEq)]
pub enum Call {
    Input,
    Output,
    Context,
    Condition,
    Variables(Option<Scope>),
    Variable { key: String, scope: Option<Scope>, act: Act },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    Get,
    Put,
    Delete,
    Increment,
}

impl Call {
    /// Whether it cannot do without a body.
    pub fn wants_body(&self) -> bool {
        let writes = matches!(self, Self::Variable { act: Act::Put | Act::Increment, .. });
        writes || matches!(self, Self::Output | Self::Condition)
    }

    /// What the desk is asked. 400 for anything but JSON of the right shape; unknown fields are
    /// ignored.
    pub fn request(&self, body: &[u8]) -> Result<Request, Response> {
        let mut fields = if self.wants_body() { object(body)? } else { Value::Null };
        let mut find = |name: &str| fields.get_mut(name).map(Value::take);
        let mut take = |name: &str| find(name).ok_or_else(|| wrong(&["missing field ", name].concat()));
        Ok(match self {
            Self::Input => Request::Input,
            Self::Context => Request::Event,
            Self::Variables(scope) => Request::Variables { scope: *scope },
            Self::Output => Request::Output { value: take("data")?, append: false },
            Self::Condition => match take("condition")? {
                Value::Bool(condition) => Request::Condition { condition },
                _ => return Err(wrong("`condition` is neither true nor false")),
            },
            Self::Variable { key, scope, act } => {
                let (key, scope) = (key.clone(), *scope);
                match act {
                    Act::Get => Request::GetVariable { key, scope },
                    Act::Delete => Request::Unset { key, scope },
                    Act::Put => {
                        let value = take("value")?;
                        let if_version = take("ifVersion").ok().filter(|version| !version.is_null());
                        let if_version = match if_version.map(|version| version.as_u64()) {
                            Some(None) => return Err(wrong("`ifVersion` is no version")),
                            version => version.flatten(),
                        };
                        Request::SetVariable { key, value, if_version, scope }
                    }
                    Act::Increment => match take("by")? {
                        Value::Number(by) => Request::Increment { key, by, scope },
                        _ => return Err(wrong("`by` is no number")),
                    },
                }
            }
        })
    }

    /// The desk's reply as the API has it.
    pub fn response(&self, reply: Reply) -> Response {
        if !reply.is_ok() {
            return Response::refusal(&reply);
        }
        if matches!(self, Self::Output | Self::Condition) {
            return Response::done();
        }
        Response::data(&reply.data)
    }
}

fn object(body: &[u8]) -> Result<Value, Response> {
    match serde_json::from_slice(body) {
        Ok(fields @ Value::Object(_)) => Ok(fields),
        Ok(_) => Err(Response::refused(400, "the body is no JSON object")),
        Err(error) => Err(wrong(&error.to_string())),
    }
}

fn wrong(reason: &str) -> Response {
    Response::refused(400, &["the body is not what it should be: ", reason].concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variable(act: Act) -> Call {
        Call::Variable { key: "k".into(), scope: Some(Scope::Host), act }
    }

    #[test]
    fn bodies() {
        let (key, scope) = (|| "k".to_owned(), Some(Scope::Host));
        let set = |value: Value, if_version| Request::SetVariable { key: key(), value, if_version, scope };
        for (call, body, want) in [
            (Call::Input, "anything", Some(Request::Input)),
            (Call::Context, "", Some(Request::Event)),
            (Call::Variables(scope), "", Some(Request::Variables { scope })),
            (
                Call::Output,
                r#" {"data":null,"more":1} "#,
                Some(Request::Output { value: Value::Null, append: false }),
            ),
            (Call::Output, "", None),
            (Call::Output, "{", None),
            (Call::Output, "{}", None),
            (Call::Output, "[1]", None),
            (Call::Output, "{\"data\":1} x", None),
            (Call::Output, "{\"data\":\"\u{0}\"}", None),
            (Call::Condition, r#"{"condition":false}"#, Some(Request::Condition { condition: false })),
            (Call::Condition, r#"{"condition":"true"}"#, None),
            (Call::Condition, r#"{"condition":null}"#, None),
            (variable(Act::Get), "{", Some(Request::GetVariable { key: key(), scope })),
            (variable(Act::Delete), "", Some(Request::Unset { key: key(), scope })),
            (variable(Act::Put), r#"{"value":""}"#, Some(set(json!(""), None))),
            (variable(Act::Put), r#"{"value":[0],"ifVersion":null}"#, Some(set(json!([0]), None))),
            (variable(Act::Put), r#"{"value":0,"ifVersion":7}"#, Some(set(json!(0), Some(7)))),
            (variable(Act::Put), r#"{"ifVersion":1}"#, None),
            (variable(Act::Put), r#"{"value":1,"ifVersion":-1}"#, None),
            (variable(Act::Put), r#"{"value":1,"ifVersion":"1"}"#, None),
            (variable(Act::Put), r#"{"value":1,"ifVersion":1.5}"#, None),
            (
                variable(Act::Increment),
                r#"{"by":-2}"#,
                Some(Request::Increment { key: key(), by: (-2).into(), scope }),
            ),
            (variable(Act::Increment), r#"{"by":"1"}"#, None),
            (variable(Act::Increment), "{}", None),
        ] {
            match call.request(body.as_bytes()) {
                Ok(request) => assert_eq!(Some(request), want, "{call:?} {body}"),
                Err(refused) => assert_eq!((refused.status, want), (400, None), "{call:?} {body}"),
            }
        }
        let deep = format!("{{\"data\":{}", "[".repeat(1 << 20));
        assert_eq!(Call::Output.request(deep.as_bytes()).unwrap_err().status, 400);
    }

    #[test]
    fn replies() {
        let ok = |data: Value| Reply::ok(data);
        let conflict = Reply { version: Some(3), ..Reply::error(409, "the variable has version 3") };
        let list = json!([{"key": "b", "scope": "global"}]);
        for (call, reply, status, body) in [
            (Call::Input, ok(json!({"a": 1})), 200, r#"{"success":true,"data":{"a":1}}"#),
            (Call::Input, ok(Value::Null), 200, r#"{"success":true,"data":null}"#),
            (Call::Output, ok(json!(1)), 200, r#"{"success":true}"#),
            (Call::Condition, ok(Value::Null), 200, r#"{"success":true}"#),
            (
                Call::Variables(None),
                ok(list),
                200,
                r#"{"success":true,"data":[{"key":"b","scope":"global"}]}"#,
            ),
            (variable(Act::Get), Reply::error(404, "no"), 404, r#"{"error":"no","success":false}"#),
            (
                variable(Act::Put),
                conflict,
                409,
                r#"{"error":"the variable has version 3","success":false,"version":3}"#,
            ),
            (variable(Act::Put), Reply::error(429, "slow"), 429, r#"{"error":"slow","success":false}"#),
            (Call::Input, Reply::error(0, "no status"), 500, r#"{"error":"no status","success":false}"#),
        ] {
            let response = call.response(reply);
            assert_eq!(response.status, status, "{body}");
            let [got, want]: [Value; 2] =
                [&*response.body, body].map(|text| serde_json::from_str(text).unwrap());
            assert_eq!(got, want);
        }
    }
}
