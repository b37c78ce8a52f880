package httpapi

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
)

// keys remembers what came of puts with an Idempotency-Key. It is in memory
// alone, and so forgets when the process ends. A put that has failed is not
// remembered: it can be tried again.
type keys struct {
	mu    sync.Mutex
	byKey map[idemKey]*list.Element // of *attempt
	order *list.List                // oldest first
}

// idemKey is a key as one client gave it for one tube; another's is another.
type idemKey struct{ name, tube, key string }

// attempt is a put with a key.
type attempt struct {
	key    idemKey
	digest [sha256.Size]byte // of the job
	begun  time.Time
	done   chan struct{} // closed when it has ended; then
	id     uint64        // it is this job,
	err    error         // or has failed
}

// What is remembered.
const (
	mostKeys   = 20_000
	keyLife    = time.Hour
	longestKey = 255 // bytes
)

func (k *keys) open() {
	k.byKey = map[idemKey]*list.Element{}
	k.order = list.New()
}

// begin returns the attempt with that key, and whether it is a new one, which end
// must follow.
func (k *keys) begin(key idemKey, digest [sha256.Size]byte, now time.Time) (a *attempt, fresh bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for e := k.order.Front(); e != nil; e = k.order.Front() {
		old := e.Value.(*attempt)
		if now.Sub(old.begun) < keyLife && k.order.Len() < mostKeys || !old.ended() {
			break
		}
		k.forget(e)
	}
	if e, ok := k.byKey[key]; ok {
		a = e.Value.(*attempt)
		if a.digest != digest {
			return nil, false, problem(api.KeyReused, "the Idempotency-Key was used for a job that is another")
		}
		return a, false, nil
	}
	if k.order.Len() >= mostKeys {
		return nil, false, problem(api.TooManyRequests, "too many puts with an Idempotency-Key are under way")
	}
	a = &attempt{key: key, digest: digest, begun: now, done: make(chan struct{})}
	k.byKey[key] = k.order.PushBack(a)
	return a, true, nil
}

// end tells what came of an attempt.
func (k *keys) end(a *attempt, id uint64, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a.id, a.err = id, err
	close(a.done)
	if err != nil {
		k.forget(k.byKey[a.key])
	}
}

func (k *keys) forget(e *list.Element) {
	k.order.Remove(e)
	delete(k.byKey, e.Value.(*attempt).key)
}

func (a *attempt) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
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
	if len(values) > 1 || values[0] == "" || len(values[0]) > longestKey {
		return about(api.IdempotencyKey, api.BadValue, "the Idempotency-Key must be one of 1 to %d bytes", longestKey)
	}
	key := idemKey{c.name, j.Tube, values[0]}
	a, fresh, err := c.h.keys.begin(key, digestOf(j), time.Now())
	if err != nil {
		return err
	}
	if fresh {
		// It is done even if the client hangs up: what comes of it is what the
		// next request is answered with. A put whose journal batch fails ends the
		// server.
		id, err := c.m.Put(context.WithoutCancel(c.r.Context()), j)
		c.h.keys.end(a, id, err)
		if err != nil {
			return err
		}
		return c.answerPut(id)
	}
	select {
	case <-a.done:
	case <-c.r.Context().Done():
		return context.Cause(c.r.Context())
	}
	if a.err != nil {
		if errors.Is(a.err, context.Canceled) {
			return problem(api.KeyInUse, "another request with this Idempotency-Key was under way, and has failed")
		}
		return a.err
	}
	c.w.Header().Set(api.Replayed, "true")
	return c.answerPut(a.id)
}

// digestOf returns a digest of what is to be put, however the request spells it.
func digestOf(j *manage.NewJob) (sum [sha256.Size]byte) {
	h := sha256.New()
	var head []byte
	for _, n := range [...]uint64{uint64(j.Pri), uint64(j.Delay), uint64(j.TTR)} {
		head = binary.BigEndian.AppendUint64(head, n)
	}
	h.Write(head)
	h.Write(j.Body)
	return [sha256.Size]byte(h.Sum(nil))
}
