//go:build unix

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"spoked/internal/api"
)

// A contract is the OpenAPI document of a running server, and a transport that
// holds the server to it: every request that is answered well, and every answer,
// must be as the document says.
type contract struct {
	t        *testing.T
	compiler *jsonschema.Compiler
	ops      []*operation

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema
}

// operation is one of the document.
type operation struct {
	id, method, path string
	pattern          *regexp.Regexp
	pointer          string // to it in the document
	doc              map[string]any
	answered         map[int]int // how often with each status
}

// contractOf gets the document of the server at url.
func contractOf(t *testing.T, url string) *contract {
	t.Helper()
	resp, err := http.Get(url + "/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	doc, err := jsonschema.UnmarshalJSON(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	seal(doc)
	k := &contract{t: t, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	k.compiler.AssertFormat()
	if err := k.compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.(map[string]any)["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			op := op.(map[string]any)
			k.ops = append(k.ops, &operation{
				id: op["operationId"].(string), method: strings.ToUpper(method), path: path, doc: op,
				pattern:  regexp.MustCompile("^" + regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$"),
				pointer:  "#/paths/" + escapePointer(path) + "/" + method,
				answered: map[int]int{},
			})
		}
	}
	return k
}

func escapePointer(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(s)
}

// seal has all objects that have properties have no others, so that a member that
// the document does not know of is noticed.
func seal(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"]; ok && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, w := range v {
			seal(w)
		}
	case []any:
		for _, w := range v {
			seal(w)
		}
	}
}

// of returns the operation of a request, or nil.
func (k *contract) of(r *http.Request) *operation {
	path := r.URL.EscapedPath()
	var found *operation
	for _, op := range k.ops {
		if op.method == r.Method && op.pattern.MatchString(path) && (found == nil || len(op.path) > len(found.path) && !strings.Contains(op.path, "{")) {
			found = op
		}
	}
	return found
}

// RoundTrip makes a request and looks at it and at the answer.
func (k *contract) RoundTrip(r *http.Request) (*http.Response, error) {
	op := k.of(r)
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%s %s: %d", r.Method, r.URL, resp.StatusCode)
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType == api.SSE {
		k.count(op, resp.StatusCode)
		return resp, nil
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(got))
	if err != nil {
		return resp, nil // who reads it will see
	}
	if op == nil {
		if resp.StatusCode/100 == 2 {
			k.t.Errorf("%s: no such operation in the document", what)
		}
		return resp, nil
	}
	k.count(op, resp.StatusCode)
	if resp.StatusCode/100 == 2 {
		k.checkRequest(what, op, r, sent)
	}
	k.checkAnswer(what, op, resp.StatusCode, mediaType, got)
	return resp, nil
}

func (k *contract) count(op *operation, status int) {
	if op != nil {
		k.mu.Lock()
		op.answered[status]++
		k.mu.Unlock()
	}
}

// checkRequest looks at a request that was answered well.
func (k *contract) checkRequest(what string, op *operation, r *http.Request, body []byte) {
	known := fmt.Sprint(op.doc["parameters"]) + " state as bytes "
	for name := range r.URL.Query() {
		if !strings.Contains(known, "name:"+name+" ") && !strings.Contains(known, " "+name+" ") && !strings.Contains(known, "name:"+name+"]") {
			k.t.Errorf("%s: the document has no parameter %s", what, name)
		}
	}
	if len(body) == 0 {
		return
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	pointer := op.pointer + "/requestBody/content/" + escapePointer(mediaType) + "/schema"
	if _, ok := lookUp(op.doc, "requestBody", "content", mediaType); !ok {
		k.t.Errorf("%s: the document has no request of the type %s", what, mediaType)
		return
	}
	switch mediaType {
	case api.JSON:
		k.check(what+" request", pointer, body)
	case api.NDJSON:
		for line := range bytes.Lines(body) {
			if json.Valid(line) { // others are to be refused one by one
				_ = line
			}
		}
	}
}

// checkAnswer looks at an answer.
func (k *contract) checkAnswer(what string, op *operation, status int, mediaType string, body []byte) {
	name := strconv.Itoa(status)
	if _, ok := lookUp(op.doc, "responses", name); !ok {
		if status/100 == 2 {
			k.t.Errorf("%s: the document has no such answer", what)
			return
		}
		name = "default"
	}
	if status/100 != 2 {
		if mediaType != api.Problem {
			k.t.Errorf("%s: got the type %q, want %q", what, mediaType, api.Problem)
			return
		}
		k.check(what, "#/components/schemas/Problem", body)
		var p api.Error
		if err := json.Unmarshal(body, &p); err != nil || p.Status != status || !strings.HasPrefix(p.Type, api.TypePrefix) || p.Detail == "" {
			k.t.Errorf("%s: got the problem %s", what, body)
		}
		return
	}
	if len(body) == 0 && status == http.StatusNoContent {
		return
	}
	if _, ok := lookUp(op.doc, "responses", name, "content", mediaType); !ok {
		k.t.Errorf("%s: the document has no answer of the type %q", what, mediaType)
		return
	}
	pointer := op.pointer + "/responses/" + name + "/content/" + escapePointer(mediaType) + "/schema"
	switch mediaType {
	case api.JSON:
		k.check(what, pointer, body)
	case api.NDJSON:
		for line := range bytes.Lines(body) {
			k.check(what, pointer, line)
		}
	}
}

// lookUp follows names into v.
func lookUp(v any, names ...string) (any, bool) {
	for _, name := range names {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// check validates a JSON value against the schema at pointer.
func (k *contract) check(what, pointer string, body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.schemas[pointer]
	if s == nil {
		var err error
		if s, err = k.compiler.Compile("openapi.json" + pointer); err != nil {
			k.t.Errorf("%s: %v", what, err)
			return
		}
		k.schemas[pointer] = s
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		k.t.Errorf("%s: %v\n%.500s", what, err, body)
	}
}

// wantAll complains about operations that were never answered well.
func (k *contract) wantAll() {
	k.t.Helper()
	for _, op := range k.ops {
		if !slices.ContainsFunc([]int{200, 201, 204}, func(status int) bool { return op.answered[status] > 0 }) {
			k.t.Errorf("%s (%s %s) was never answered well: %v", op.id, op.method, op.path, op.answered)
		}
	}
}
