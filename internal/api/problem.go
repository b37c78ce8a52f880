package api

// An Error is a problem document of RFC 9457.
type Error struct {
	Type   string `json:"type"`   // one of the constants below, behind TypePrefix
	Title  string `json:"title"`  // the same for all of a type
	Status int    `json:"status"` // of HTTP
	Detail string `json:"detail,omitempty"`
	// Member is the member or parameter of the request that is wrong.
	Member string `json:"member,omitempty"`

	// What a call that has failed on its way had done by then, as in BulkResult and
	// Imported. Nil members, and a Next of 0, say nothing.
	Matched  *int   `json:"matched,omitempty"`
	Changed  *int   `json:"changed,omitempty"`
	Skipped  *int   `json:"skipped,omitempty"`
	Next     uint64 `json:"next,omitempty"`
	Imported *int   `json:"imported,omitempty"`
}

// Error returns what the problem is, in a sentence.
func (e *Error) Error() string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Title
}

// Kind returns the type without TypePrefix, to be compared with the constants.
func (e *Error) Kind() string {
	if len(e.Type) > len(TypePrefix) && e.Type[:len(TypePrefix)] == TypePrefix {
		return e.Type[len(TypePrefix):]
	}
	return e.Type
}

// TypePrefix is what the types of all problems begin with.
const TypePrefix = "urn:spoked:problem:"

// The types of problems. They do not change.
const (
	BadRequest       = "bad-request"        // 400: malformed
	UnknownMember    = "unknown-member"     // 400: there is no such member or parameter
	BadValue         = "bad-value"          // 400: a member or parameter has a value that it cannot have
	Unauthorized     = "unauthorized"       // 401: no token, or a wrong one
	Forbidden        = "forbidden"          // 403: the token's role is not enough
	CrossOrigin      = "cross-origin"       // 403: from another site's page
	NotFound         = "not-found"          // 404: no such job, tube or lease
	NoSuchPath       = "no-such-path"       // 404: no such call
	MethodNotAllowed = "method-not-allowed" // 405
	NotAcceptable    = "not-acceptable"     // 406
	JobReserved      = "job-reserved"       // 409: somebody works on the job
	BadState         = "bad-state"          // 409: the job is not in a state for that
	NoJournal        = "no-journal"         // 409: the server keeps jobs in memory
	KeyInUse         = "key-in-use"         // 409: a request with the same Idempotency-Key is under way
	BackupFailed     = "backup-failed"      // 409: the copy could not be made there
	LeaseOver        = "lease-over"         // 410: the lease has ended
	TooLarge         = "too-large"          // 413: the body, or the job
	UnsupportedType  = "unsupported-type"   // 415
	Misdirected      = "misdirected"        // 421: for another host
	KeyReused        = "key-reused"         // 422: the Idempotency-Key was used for another request
	TooManyRequests  = "too-many-requests"  // 429: more wait than may
	Internal         = "internal"           // 500
	ServerDraining   = "draining"           // 503: takes no jobs
	Stopping         = "stopping"           // 503: the server stops or starts
	OutOfMemory      = "out-of-memory"      // 507: no room for a job
)
