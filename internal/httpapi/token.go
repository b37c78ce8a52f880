package httpapi

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"spoked/internal/api"
)

// A Role is what somebody may do. They are sets: see Allows.
type Role uint8

// The roles.
const (
	Anybody Role = iota // what needs no token
	Read                // looks at everything, and changes nothing
	Produce             // and puts jobs
	Work                // or reserves jobs, and ends their reservations
	Admin               // does everything
)

// String returns the role's name in a file of tokens.
func (r Role) String() string {
	return [...]string{Anybody: "anybody", Read: "read", Produce: "produce", Work: "work", Admin: "admin"}[r]
}

// Allows reports whether one with role r may do what needs the role.
func (r Role) Allows(role Role) bool {
	switch role {
	case Anybody:
		return true
	case Read:
		return r >= Read
	default:
		return r == role || r == Admin
	}
}

// Tokens is who may do what. It does not change.
type Tokens struct{ list []token }

type token struct {
	role Role
	hash [sha256.Size]byte
	name string
}

// Len returns how many tokens there are.
func (t *Tokens) Len() int { return len(t.list) }

// LoadTokens reads a file of tokens. On each line is a role, the SHA-256 of a
// token in hexadecimal, and a name for it. Lines that are empty or begin with #
// say nothing. The tokens themselves are nowhere.
func LoadTokens(file string) (*Tokens, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := readTokens(f)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", file, err)
	}
	return t, nil
}

// readTokens reads lines; its errors begin with the number of one.
func readTokens(r io.Reader) (*Tokens, error) {
	t := &Tokens{}
	names := map[string]int{}
	lines := bufio.NewScanner(r)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		k, err := parseToken(line)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		if before, ok := names[k.name]; ok {
			return nil, fmt.Errorf("%d: the name %s is that of line %d already", n, k.name, before)
		}
		names[k.name] = n
		t.list = append(t.list, k)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%d: %w", n+1, err)
	}
	if len(t.list) == 0 {
		return nil, fmt.Errorf("%d: there is no token in the file, so that nobody could do anything", n+1)
	}
	return t, nil
}

func parseToken(line string) (k token, err error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return k, fmt.Errorf("%d words where there must be three: a role, the SHA-256 of a token, and a name", len(fields))
	}
	for k.role = Read; k.role.String() != fields[0]; k.role++ {
		if k.role == Admin {
			return k, fmt.Errorf("%q is no role; roles are read, produce, work and admin", fields[0])
		}
	}
	if hash, err := hex.DecodeString(fields[1]); err != nil || copy(k.hash[:], hash) != sha256.Size || len(hash) != sha256.Size {
		return k, fmt.Errorf("%q is not the SHA-256 of a token, which has 64 hexadecimal digits", fields[1])
	}
	k.name = fields[2]
	return k, nil
}

// find returns the token, in a time that does not depend on which it is nor on
// how nearly it is one.
func (t *Tokens) find(text string) (found token) {
	hash := sha256.Sum256([]byte(text))
	for _, k := range t.list {
		if subtle.ConstantTimeCompare(hash[:], k.hash[:]) == 1 {
			found = k
		}
	}
	return found
}

// Who returns the name and the role of the holder of a token, Anybody if it is
// none. Nobody needs one if needed is false.
func (h *Handler) Who(text string) (name string, role Role, needed bool) {
	t := h.tokens.Load()
	if t == nil {
		return "", Admin, false
	}
	k := t.find(text)
	return k.name, k.role, true
}

// authorize returns who the caller is, "" if nobody asks, or refuses the
// request, which needs a role.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request, role Role) (name string, err error) {
	t := h.tokens.Load()
	if t == nil || role == Anybody {
		return "", nil
	}
	values := r.Header.Values("Authorization")
	scheme, text := "", ""
	if len(values) == 1 {
		scheme, text, _ = strings.Cut(values[0], " ")
	}
	var k token
	if strings.EqualFold(scheme, "Bearer") {
		k = t.find(strings.TrimSpace(text))
	}
	if k.role == Anybody {
		w.Header().Set("WWW-Authenticate", `Bearer realm="spoked"`)
		return "", problem(api.Unauthorized, "this needs a token with the role %s, in a header such as Authorization: Bearer TOKEN", role)
	}
	if !k.role.Allows(role) {
		return "", problem(api.Forbidden, "the token %s has the role %s, and this needs %s", k.name, k.role, role)
	}
	return k.name, nil
}
