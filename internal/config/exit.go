package config

// The exit codes of spoked; those of the server are beanstalkd's. Scripts depend
// on them.
const (
	ExitOK            = 0
	ExitFailure       = 1   // anything without a code of its own
	ExitNotFound      = 2   // a command: what it was to work on is not there
	ExitUnreachable   = 3   // a command: no server answers
	ExitRefused       = 4   // a command: the server wants another token
	ExitUsage         = 5   // a command line or environment that makes no sense
	ExitJournal       = 10  // -b: the directory cannot be used, is used already, or is damaged
	ExitJournalFailed = 11  // -b: writing or syncing has failed, while serving
	ExitUserLookup    = 32  // -u: the user database could not be read
	ExitNoUser        = 33  // -u: there is no such user
	ExitSetUser       = 34  // -u: becoming that user failed
	ExitSocket        = 111 // no socket to listen on
	ExitInterrupted   = 130 // a command: a signal ended it
)

// ExitError is an error that decides the exit code of the process.
type ExitError struct {
	Code int
	Err  error
}

// Error returns the text of the error inside; the code is not part of it.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the error inside.
func (e *ExitError) Unwrap() error { return e.Err }
