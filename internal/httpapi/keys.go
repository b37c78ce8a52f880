package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
)

// keys remembers what came of puts with an Idempotency-Key. It is in memory
// alone, and so forgets when the process ends. A put that has failed is not
// remembered: it can be tried again. None is forgotten before keyLife has passed,
// however many there are: when there is no more room, puts with further keys are
// refused. Each token has a share of the room, so that none can use up another's.
//
// What is remembered are digests, in generations that are forgotten as a whole.
type keys struct {
	mu     sync.Mutex
	under  map[digest]*attempt // way
	done   []generation        // oldest first
	counts map[string]int      // by the token's name: of both
	total  int
}

// digest is half of a SHA-256.
type digest [16]byte

// A generation has the puts of some time.
type generation struct {
	begun  time.Time
	puts   map[digest]remembered // by their keys
	counts map[string]int        // by the token's name
}

// remembered is a put that has been done.
type remembered struct {
	job digest
	id  uint64
}

// idemKey is a key as one client gave it for one tube; another's is another.
type idemKey struct{ name, tube, key string }

// hash returns what stands for the key. No two do for the same: names and tubes have
// no byte 0.
func (k idemKey) hash() digest {
	sum := sha256.Sum256([]byte(k.name + "\x00" + k.tube + "\x00" + k.key))
	return digest(sum[:16])
}

// attempt is a put with a key.
type attempt struct {
	key  digest
	name string // of the token
	job  digest
	done chan struct{} // closed when it has ended; then
	id   uint64        // it is this job,
	err  error         // or has failed
}

// What is remembered.
const (
	mostKeys   = 1 << 20 // of about 100 bytes each
	keyLife    = time.Hour
	keySpan    = keyLife / 6 // of a generation
	longestKey = 255         // bytes
)

func (k *keys) open() {
	k.under = map[digest]*attempt{}
	k.counts = map[string]int{}
}

// begin returns the attempt with that key, and whether it is a new one, which end
// must follow. There are so many tokens that may put. If there is no room, wait is
// how long it takes until there may be.
func (k *keys) begin(key idemKey, job digest, tokens int, now time.Time) (a *attempt, fresh bool, wait time.Duration, err error) {
	hash := key.hash()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(now)
	a, found := k.under[hash]
	for i := 0; i < len(k.done) && !found; i++ {
		var r remembered
		if r, found = k.done[i].puts[hash]; found {
			a = &attempt{job: r.job, id: r.id, done: ended()}
		}
	}
	if found {
		if a.job != job {
			return nil, false, 0, problem(api.KeyReused, "the Idempotency-Key was used for a job that is another")
		}
		return a, false, 0, nil
	}
	if k.total >= mostKeys || k.counts[key.name] >= mostKeys/max(1, tokens) {
		return nil, false, k.wait(key.name, now), problem(api.TooManyRequests,
			"%d puts with an Idempotency-Key are remembered, and no more can be until some are an hour old", k.counts[key.name])
	}
	a = &attempt{key: hash, name: key.name, job: job, done: make(chan struct{})}
	k.under[hash] = a
	k.counts[key.name]++
	k.total++
	return a, true, 0, nil
}

func ended() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// end tells what came of an attempt.
func (k *keys) end(a *attempt, id uint64, err error, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.under, a.key)
	a.id, a.err = id, err
	close(a.done)
	if err != nil {
		k.uncount(a.name, 1)
		return
	}
	if n := len(k.done); n == 0 || now.Sub(k.done[n-1].begun) >= keySpan {
		k.done = append(k.done, generation{begun: now, puts: map[digest]remembered{}, counts: map[string]int{}})
	}
	g := &k.done[len(k.done)-1]
	g.puts[a.key] = remembered{a.job, id}
	g.counts[a.name]++
}

// forget forgets the generations the last of which is old enough.
func (k *keys) forget(now time.Time) {
	for len(k.done) > 0 && now.Sub(k.done[0].begun) >= keyLife+keySpan {
		for name, n := range k.done[0].counts {
			k.uncount(name, n)
		}
		k.done[0] = generation{}
		k.done = k.done[1:]
	}
}

func (k *keys) uncount(name string, n int) {
	k.total -= n
	if k.counts[name] -= n; k.counts[name] == 0 {
		delete(k.counts, name)
	}
}

// wait returns how long it takes until something is forgotten of which that token
// has a part, or all have, if it has none.
func (k *keys) wait(name string, now time.Time) time.Duration {
	for _, g := range k.done {
		if g.counts[name] > 0 || k.counts[name] == 0 {
			return g.begun.Add(keyLife + keySpan).Sub(now)
		}
	}
	return time.Second // all are under way
}

// checkKey refuses what can be no key.
func checkKey(member, key string) error {
	if key == "" || len(key) > longestKey {
		return about(member, api.BadValue, "the %s must have from 1 to %d bytes", member, longestKey)
	}
	return nil
}

// begin begins an attempt to put j with a key.
func (c *call) begin(key string, j *manage.NewJob) (a *attempt, fresh bool, wait time.Duration, err error) {
	return c.h.keys.begin(idemKey{c.name, j.Tube, key}, digestOf(j), c.h.tokens.Load().puts(), time.Now())
}

// putOnce puts j, unless the request has a key with which
// that was done before.
func (c *call) putOnce(j *manage.NewJob) error {
	values := c.r.Header.Values(api.IdempotencyKey)
	if len(values) == 0 {
		id, err := c.m.Put(c.r.Context(), j)
		if err != nil {
			return err
		}
		return c.answerPut(id)
	}
	if len(values) > 1 {
		return about(api.IdempotencyKey, api.BadValue, "there are %d headers %s", len(values), api.IdempotencyKey)
	}
	if err := checkKey(api.IdempotencyKey, values[0]); err != nil {
		return err
	}
	a, fresh, wait, err := c.begin(values[0], j)
	if err != nil {
		if wait > 0 {
			c.w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		}
		return err
	}
	if fresh {
		// It is done even if the client hangs up: what comes of it is what the
		// next request is answered with. A put whose journal batch fails ends the
		// server.
		id, err := c.putAs(a, j)
		if err != nil {
			return err
		}
		return c.answerPut(id)
	}
	id, err := c.outcome(a)
	if err != nil {
		return err
	}
	c.w.Header().Set(api.Replayed, "true")
	return c.answerPut(id)
}

// putAs puts j as the attempt a, which has ended then, also by a panic.
func (c *call) putAs(a *attempt, j *manage.NewJob) (id uint64, err error) {
	err = http.ErrAbortHandler
	defer func() { c.h.keys.end(a, id, err, time.Now()) }()
	return c.m.Put(context.WithoutCancel(c.r.Context()), j)
}

// outcome returns what came of an attempt that another request makes.
func (c *call) outcome(a *attempt) (id uint64, err error) {
	select {
	case <-a.done:
	case <-c.r.Context().Done():
		return 0, context.Cause(c.r.Context())
	}
	if errors.Is(a.err, context.Canceled) || errors.Is(a.err, http.ErrAbortHandler) {
		return 0, problem(api.KeyInUse, "another request with this Idempotency-Key was under way, and has failed")
	}
	return a.id, a.err
}

// digestOf returns a digest of what is to be put, however the request spells it.
func digestOf(j *manage.NewJob) digest {
	h := sha256.New()
	var head []byte
	for _, n := range [...]uint64{uint64(j.Pri), uint64(j.Delay), uint64(j.TTR)} {
		head = binary.BigEndian.AppendUint64(head, n)
	}
	h.Write(head)
	h.Write(j.Body)
	return digest(h.Sum(nil)[:16])
}
