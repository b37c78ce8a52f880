package queue_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	"spoked/queue"
)

// TestTubesBelow walks over tubes in portions, while tubes come and go between
// them, and sees all that were there throughout.
func TestTubesBelow(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		e := queue.New(0)
		var clients []*queue.Client
		use := func(name string) {
			c := e.Connect()
			e.Use(c, []byte(name))
			clients = append(clients, c)
		}
		for i := range 100 {
			use(fmt.Sprint("tube-", i))
		}
		left := map[string]bool{}
		for name := range e.Tubes() {
			left[name] = true
		}
		want := maps.Clone(left)
		made := 0
		for at, more := math.MaxInt, true; more; {
			more = false
			n := 0
			for i, st := range e.TubesBelow(0, at) {
				if one, err := e.TubeStats(0, []byte(st.Name)); err != nil || one != st {
					t.Fatalf("seed %d: got %+v, want %+v (%v)", seed, st, one, err)
				}
				delete(left, st.Name)
				at = i
				if n++; n == 7 {
					more = true
					break
				}
			}
			for range r.IntN(4) { // of those there were, and those made
				i := r.IntN(len(clients))
				delete(want, clients[i].Used())
				e.Disconnect(0, clients[i])
				clients[i] = clients[len(clients)-1]
				clients = clients[:len(clients)-1]
			}
			for range r.IntN(3) {
				made++
				use(fmt.Sprint("made-", made))
			}
		}
		for name := range left {
			if want[name] {
				t.Fatalf("seed %d: %s was not seen", seed, name)
			}
		}
	}
}
