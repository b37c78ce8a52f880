package metrics

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"spoked/queue"
)

// see has a walk over tubes with so many ready jobs, and returns the names of
// those that have metrics of their own, and the walk.
func see(p *places, most int, tubes map[string]int) (string, *walk) {
	w := p.begin(len(tubes), most)
	for name, n := range tubes {
		st := queue.TubeStats{Name: name, TotalJobs: uint64(n)}
		st.Jobs[queue.Ready] = n
		w.see(st)
	}
	var names []string
	for _, t := range w.end() {
		names = append(names, t.stats.Name)
	}
	return strings.Join(names, " "), w
}

// TestPlaces shows which tubes have metrics of their own.
func TestPlaces(t *testing.T) {
	var p places
	for _, step := range []struct {
		most  int
		tubes map[string]int
		want  string
	}{
		{2, map[string]int{}, ""},
		{2, map[string]int{"a": 0}, "a"},
		{2, map[string]int{"a": 0, "b": 1, "c": 2, "d": 3}, "a d"},  // a has its place already
		{2, map[string]int{"a": 0, "b": 9, "c": 2, "d": 3}, "a d"},  // b leads by too few
		{2, map[string]int{"a": 0, "b": 10, "c": 2, "d": 3}, "b d"}, // and now by enough
		{2, map[string]int{"a": 0, "b": 10, "c": 13, "d": 3}, "b c"},
		{2, map[string]int{"a": 0, "b": 10, "c": 13, "d": 20}, "b c"}, // not more than twice as many
		{2, map[string]int{"a": 0, "b": 10, "c": 13, "d": 21}, "c d"},
		{2, map[string]int{"a": 100, "b": 99, "c": 13, "d": 21}, "a b"},
		{2, map[string]int{"b": 99, "c": 13, "d": 21}, "b d"}, // a has gone
		{2, map[string]int{"b": 0, "c": 0, "d": 0}, "b d"},
		{3, map[string]int{"b": 0, "c": 0, "d": 0, "e": 0}, "b c d"}, // equal: by name
		{1, map[string]int{"b": 0, "c": 5, "d": 0, "e": 0}, "c"},
		{0, map[string]int{"b": 0, "c": 5, "d": 0, "e": 0}, ""},
		{9, map[string]int{"b": 0, "c": 5, "d": 0, "e": 0}, "b c d e"},
	} {
		got, w := see(&p, step.most, step.tubes)
		if got != step.want {
			t.Fatalf("%v, %d places: got %q, want %q", step.tubes, step.most, got, step.want)
		}
		jobs := 0
		for name, n := range step.tubes {
			if !slices.Contains(strings.Fields(got), name) {
				jobs += n
			}
		}
		if n := len(step.tubes) - len(strings.Fields(got)); w.others.tubes != n || w.others.jobs[queue.Ready] != jobs {
			t.Fatalf("%v: got %+v, want %d other tubes with %d jobs", step.tubes, w.others, n, jobs)
		}
	}
}

// TestRest has tubes come, grow and go at random, and checks that what is told of
// the others never falls, and is nothing while there are none.
func TestRest(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		var p places
		tubes := map[string]*queue.TubeStats{}
		var put, deleted, lastPut, lastDeleted uint64
		crowded := false
		for range 200 {
			for range r.IntN(10) {
				name := fmt.Sprint(r.IntN(12))
				st := tubes[name]
				switch {
				case st == nil:
					tubes[name] = &queue.TubeStats{Name: name}
				case r.IntN(10) == 0:
					delete(tubes, name)
				default:
					n := r.IntN(30)
					st.TotalJobs += uint64(n)
					put += uint64(n)
					st.Jobs[queue.Ready] += n
					gone := r.IntN(st.Jobs[queue.Ready] + 1)
					st.Jobs[queue.Ready] -= gone
					st.Deletes += uint64(gone)
					deleted += uint64(gone)
				}
			}
			w := p.begin(len(tubes), 5+r.IntN(2))
			for _, st := range tubes {
				w.see(*st)
			}
			own := w.end()
			crowded = crowded || len(own) < len(tubes)
			if len(own) != min(w.most, len(tubes)) || w.others.tubes != len(tubes)-len(own) {
				t.Fatalf("seed %d: got %d tubes and %d others, want all of %d", seed, len(own), w.others.tubes, len(tubes))
			}
			restPut, restDeleted := p.rest(put, deleted)
			if restPut < lastPut || restDeleted < lastDeleted || restPut > put || restDeleted > deleted {
				t.Fatalf("seed %d: got %d put and %d deleted of %d and %d, before %d and %d",
					seed, restPut, restDeleted, put, deleted, lastPut, lastDeleted)
			}
			lastPut, lastDeleted = restPut, restDeleted
		}
		if !crowded {
			t.Errorf("seed %d: there was always room", seed)
		}
	}
}
