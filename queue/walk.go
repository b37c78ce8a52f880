package queue

import "iter"

// TubesBelow yields the counts of tubes with their indices, in the reverse of the
// order of Tubes, beginning below index; to begin with the last, index is
// math.MaxInt. The engine must not be changed meanwhile.
//
// A walk may stop and go on later, below the last index that it has come to. It
// then sees every tube that has been there all the time, and perhaps one twice:
// what takes the place of a tube that goes is the last of the list, which such a
// walk has seen already. Each tube costs what TubeStats does.
func (e *Engine) TubesBelow(now int64, index int) iter.Seq2[int, TubeStats] {
	return func(yield func(int, TubeStats) bool) {
		for i := min(index, len(e.list)) - 1; i >= 0; i-- {
			if !yield(i, e.tubeStats(now, e.list[i])) {
				return
			}
		}
	}
}
