package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
	"spoked/queue"
)

func TestKeys(t *testing.T) {
	var k keys
	k.open()
	now := time.Now()
	key := func(i int) idemKey { return idemKey{"", "t", fmt.Sprint(i)} }
	first, fresh, _, err := k.begin(key(0), digest{}, 1, now)
	if !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	if a, fresh, _, _ := k.begin(key(0), digest{}, 1, now); fresh || a != first {
		t.Error("got another attempt with the same key")
	}
	if _, _, _, err := k.begin(key(0), digest{1}, 1, now); !api.Is(err, api.KeyReused) {
		t.Errorf("got the error %v", err)
	}
	if _, fresh, _, _ := k.begin(idemKey{"other", "t", "0"}, digest{1}, 1, now); !fresh {
		t.Error("the key of another client was taken for this one's")
	}
	k.end(first, 7, nil, now)
	for _, later := range []time.Duration{0, keySpan, keyLife} {
		a, fresh, _, err := k.begin(key(0), digest{}, 1, now.Add(later))
		if fresh || err != nil || a.id != 7 {
			t.Errorf("after %v: got %+v, %v, %v", later, a, fresh, err)
		}
		if _, _, _, err := k.begin(key(0), digest{1}, 1, now.Add(later)); !api.Is(err, api.KeyReused) {
			t.Errorf("after %v: got the error %v", later, err)
		}
	}
	a, fresh, _, _ := k.begin(key(0), digest{}, 1, now.Add(keyLife+keySpan))
	if !fresh {
		t.Error("a key was not forgotten in time")
	}
	k.end(a, 0, errors.New("failed"), now)
	if _, fresh, _, _ := k.begin(key(0), digest{}, 1, now.Add(keyLife)); !fresh {
		t.Error("what had failed was remembered")
	}
}

// TestKeysFull has a token use up its share of the room: it is refused, while others
// are not, and nothing is forgotten early.
func TestKeysFull(t *testing.T) {
	var k keys
	k.open()
	const tokens = 64
	now := time.Now()
	put := func(name string, i int, now time.Time) (time.Duration, error) {
		a, fresh, wait, err := k.begin(idemKey{name, "t", fmt.Sprint(i)}, digest{}, tokens, now)
		if fresh {
			k.end(a, uint64(i), nil, now)
		}
		return wait, err
	}
	for i := range mostKeys / tokens {
		if _, err := put("one", i, now.Add(time.Duration(i)*10*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	last := now.Add(5 * time.Minute)
	wait, err := put("one", -1, last)
	if !api.Is(err, api.TooManyRequests) || wait != keyLife+keySpan-5*time.Minute {
		t.Errorf("got %v, %v", wait, err)
	}
	if _, err := put("two", 0, last); err != nil {
		t.Errorf("another token: got the error %v", err)
	}
	if a, fresh, _, err := k.begin(idemKey{"one", "t", "0"}, digest{}, tokens, last); fresh || err != nil || a.id != 0 {
		t.Errorf("got %v, %v, want that the first is remembered", fresh, err)
	}
	if _, err := put("one", -1, last.Add(wait)); err != nil {
		t.Errorf("after it has waited: got the error %v", err)
	}
	if _, err := put("two", 1, last.Add(3*keyLife)); err != nil || k.total != 1 || len(k.counts) != 1 || len(k.done) != 1 {
		t.Errorf("got %v, and %d keys of %d tokens in %d generations, want one", err, k.total, len(k.counts), len(k.done))
	}
}

// failing is a server that panics.
type failing struct {
	*engine
	fail bool
}

func (s *failing) Do(f func(*queue.Engine, int64)) uint64 {
	if s.fail {
		panic("oops")
	}
	return s.engine.Do(f)
}

// TestKeyPanic has a put with a key panic: the next one is made anew.
func TestKeyPanic(t *testing.T) {
	s := &failing{engine: newEngine()}
	h := New(Options{MaxJobSize: 100})
	h.Open(manage.New(s, manage.Options{}))
	for _, want := range []int{500, 201, 201} {
		s.fail = want == 500
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/tubes/t/jobs", strings.NewReader("x"))
		r.Header.Set("Content-Type", api.Raw)
		r.Header.Set(api.IdempotencyKey, "k")
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("got %d %s, want %d", w.Code, w.Body, want)
		}
	}
	if n := len(h.keys.under); n != 0 || h.keys.total != 1 {
		t.Errorf("got %d puts under way, and %d in all", n, h.keys.total)
	}
}

// TestKeysOfLines puts many with keys, one of them twice, and all once more.
func TestKeysOfLines(t *testing.T) {
	h := New(Options{MaxJobSize: 100})
	h.Open(manage.New(newEngine(), manage.Options{}))
	lines := `{"body":1,"idempotency_key":"a"}
{"body":2,"idempotency_key":"b"}
{"body":1,"idempotency_key":"a"}
{"body":3,"idempotency_key":"a"}
{"body":3,"idempotency_key":""}
{"body":3}
`
	for _, want := range []string{
		"1 false, 2 false, 1 true, key-reused, bad-value, 3 false, ",
		"1 true, 2 true, 1 true, key-reused, bad-value, 4 false, ",
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/jobs?tube=t", strings.NewReader(lines))
		r.Header.Set("Content-Type", api.NDJSON)
		h.ServeHTTP(w, r)
		got := ""
		for d := json.NewDecoder(w.Body); d.More(); {
			var p api.PutResult
			if err := d.Decode(&p); err != nil {
				t.Fatal(err)
			}
			if p.Error != nil {
				got += p.Error.Kind() + ", "
			} else {
				got += fmt.Sprintf("%d %v, ", p.ID, p.Replayed)
			}
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if n := len(h.keys.under); n != 0 {
		t.Errorf("got %d puts under way", n)
	}
	for path, body := range map[string]string{"/v1/jobs?tube=t": lines, "/v1/tubes/t/jobs": `{"body":1,"idempotency_key":"a"}`} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", api.JSON)
		if strings.HasPrefix(path, "/v1/jobs") {
			r.Header.Set("Content-Type", api.NDJSON)
			r.Header.Set(api.IdempotencyKey, "a")
		}
		if h.ServeHTTP(w, r); w.Code != 400 {
			t.Errorf("%s: got %d %s, want 400", path, w.Code, w.Body)
		}
	}
}
