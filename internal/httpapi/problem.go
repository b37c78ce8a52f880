package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"spoked/internal/api"
	"spoked/internal/manage"
	"spoked/queue"
)

// kind is what all problems of a type have in common.
type kind struct {
	status int
	title  string
}

// kinds are the types of problems.
var kinds = map[string]kind{
	api.BadRequest:       {http.StatusBadRequest, "The request is malformed"},
	api.UnknownMember:    {http.StatusBadRequest, "There is no such member or parameter"},
	api.BadValue:         {http.StatusBadRequest, "A member or parameter has a value that it cannot have"},
	api.Unauthorized:     {http.StatusUnauthorized, "A valid token is needed"},
	api.Forbidden:        {http.StatusForbidden, "The token's role is not enough"},
	api.CrossOrigin:      {http.StatusForbidden, "The request comes from another site"},
	api.NotFound:         {http.StatusNotFound, "There is no such thing"},
	api.NoSuchPath:       {http.StatusNotFound, "There is no such call"},
	api.MethodNotAllowed: {http.StatusMethodNotAllowed, "The call has another method"},
	api.NotAcceptable:    {http.StatusNotAcceptable, "The answer is of none of the types that are accepted"},
	api.JobReserved:      {http.StatusConflict, "Somebody has reserved the job"},
	api.BadState:         {http.StatusConflict, "The job is not in a state for that"},
	api.NoJournal:        {http.StatusConflict, "The server has no journal"},
	api.KeyInUse:         {http.StatusConflict, "A request with this key is under way"},
	api.BackupFailed:     {http.StatusConflict, "The copy could not be made"},
	api.LeaseOver:        {http.StatusGone, "The lease has ended"},
	api.TooLarge:         {http.StatusRequestEntityTooLarge, "The request or the job is too large"},
	api.UnsupportedType:  {http.StatusUnsupportedMediaType, "The call takes another type"},
	api.Misdirected:      {http.StatusMisdirectedRequest, "The request is for another host"},
	api.KeyReused:        {http.StatusUnprocessableEntity, "The key was used for another request"},
	api.TooManyRequests:  {http.StatusTooManyRequests, "Too many requests are under way"},
	api.Internal:         {http.StatusInternalServerError, "The server has failed"},
	api.ServerDraining:   {http.StatusServiceUnavailable, "The server takes no jobs"},
	api.Stopping:         {http.StatusServiceUnavailable, "The server is starting or stopping"},
	api.OutOfMemory:      {http.StatusInsufficientStorage, "There is no room for that"},
}

// problem returns an error that is answered as it is.
func problem(of, format string, args ...any) *api.Error {
	k := kinds[of]
	return &api.Error{Type: api.TypePrefix + of, Title: k.title, Status: k.status, Detail: fmt.Sprintf(format, args...)}
}

// about returns a problem of a member or parameter.
func about(member, of, format string, args ...any) *api.Error {
	p := problem(of, format, args...)
	p.Member = member
	return p
}

// explain returns the problem that err is, and nil if nobody is there to be
// told. what names what the call was about: "the tube x".
func explain(err error, what string) *api.Error {
	if p, ok := errors.AsType[*api.Error](err); ok {
		return p
	}
	if what == "" {
		what = "it"
	}
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return problem(api.NotFound, "%s is not there", what)
	case errors.Is(err, queue.ErrReserved):
		return problem(api.JobReserved, "%s is reserved by a client", what)
	case errors.Is(err, queue.ErrBuried):
		return problem(api.BadState, "%s is buried, and so can have no delay", what)
	case errors.Is(err, manage.ErrBadState):
		return problem(api.BadState, "%s is ready already", what)
	case errors.Is(err, queue.ErrDraining):
		return problem(api.ServerDraining, "the server is draining, and takes no jobs")
	case errors.Is(err, queue.ErrOutOfMemory):
		return problem(api.OutOfMemory, "there is no memory, or no room in the journal")
	case errors.Is(err, manage.ErrLeaseOver):
		return problem(api.LeaseOver, "the lease has ended: by its time, by what was done with it, or with the process that gave it")
	case errors.Is(err, manage.ErrBadLease):
		return about("lease", api.BadValue, "that is not a lease")
	case errors.Is(err, manage.ErrTooMany):
		return problem(api.TooManyRequests, "as many clients are waiting already as may")
	case errors.Is(err, manage.ErrStopping):
		return problem(api.Stopping, "the server is stopping")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	}
	return problem(api.Internal, "the server has failed; its log says more")
}

// told returns the problem that err is, to which f adds what was done nevertheless.
func (c *call) told(err error, f func(*api.Error)) error {
	p := explain(err, c.what)
	if p == nil || p.Status == http.StatusInternalServerError {
		return err // nobody is there, or the journal has failed
	}
	f(p)
	return p
}

// fail answers with the problem that err is.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := explain(err, "")
	if p == nil {
		panic(http.ErrAbortHandler) // the client has hung up
	}
	if p.Status == http.StatusInternalServerError && h.opts.Failed != nil {
		h.opts.Failed(r, err)
	}
	switch p.Kind() {
	case api.TooManyRequests, api.ServerDraining, api.Stopping:
		if w.Header().Get("Retry-After") == "" {
			w.Header().Set("Retry-After", "1")
		}
	}
	h.write(w, p.Status, api.Problem, p)
}

// write answers with a JSON value.
func (h *Handler) write(w http.ResponseWriter, status int, mediaType string, v any) {
	_ = h.send(w, status, mediaType, encode(v)) // who hangs up gets no answer
}

// send answers with a body, and returns an error if it has surely not been
// taken whole by the system.
func (h *Handler) send(w http.ResponseWriter, status int, mediaType string, body []byte) error {
	const slowest = 64 << 10 // bytes in a second
	h.writeWithin(w, len(body)/slowest)
	header := w.Header()
	if mediaType != "" {
		header.Set("Content-Type", mediaType)
	}
	if status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// encode returns v in JSON. It can be encoded: it is one of ours.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}
