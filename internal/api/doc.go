// Package api is the JSON API as its callers see it: the values that go over
// HTTP, and a client. docs/api.md describes the calls, and the OpenAPI document
// of the server has every member.
//
// The package knows nothing of the server, which uses the same values. Instants
// are RFC 3339, durations are strings such as "1m30s" (see [Duration]), and a
// name that a value does not have is an error wherever the server reads one.
package api

// Prefix is what the paths of all calls begin with.
const Prefix = "/v1"

// The media types of the API.
const (
	JSON    = "application/json"
	NDJSON  = "application/x-ndjson" // one JSON value a line
	Problem = "application/problem+json"
	Raw     = "application/octet-stream" // the bytes of a job's body
	SSE     = "text/event-stream"
)

// Names of headers.
const (
	// IdempotencyKey has a put done once, however often it is asked for.
	IdempotencyKey = "Idempotency-Key"
	// Replayed is "true" in an answer that was given before, to the same
	// IdempotencyKey.
	Replayed = "Idempotency-Replayed"
	// Truncated is "true" for a raw body of which only the beginning was
	// asked for.
	Truncated = "Spoked-Truncated"
)
