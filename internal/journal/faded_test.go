package journal

import (
	"testing"
	"time"
)

// TestFaded has many jobs go, and wants that to be forgotten bit by bit, and nothing
// else ever to be told but what is needed now at least.
func TestFaded(t *testing.T) {
	for _, test := range []struct {
		bytes, needed int64
		after         time.Duration
		want          int64
	}{
		{0, 100, 0, 100},
		{0, 100, time.Hour, 100},
		{100, 100, time.Second, 100},
		{1000, 0, 0, 1000},
		{1000, 0, fadeTime / 4, 750},
		{1000, 200, fadeTime / 4, 800},
		{1000, 200, fadeTime, 200},
		{1000, 200, time.Hour, 200},
	} {
		if got := faded(test.bytes, test.needed, test.after); got != test.want {
			t.Errorf("%d, then %d after %v: got %d, want %d", test.bytes, test.needed, test.after, got, test.want)
		}
	}
	bytes, n := int64(1e9), 0
	for ; bytes > 1e8; n++ { // as a loop does that commits each millisecond
		if next := faded(bytes, 0, fadeTime/1000); next >= bytes {
			t.Fatalf("%d bytes are never forgotten", bytes)
		} else {
			bytes = next
		}
	}
	if n < 1000 {
		t.Errorf("most is forgotten after %d thousandths of the time, want a thousand at least", n)
	}
}
