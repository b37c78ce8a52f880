package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/beanstalkd/go-beanstalk"
)

// shop is what works with a server while the console is looked at: a shop with
// orders, mails and pictures, in which some things do not go well.
type shop struct {
	addr  string
	stop  chan struct{}
	pause time.Duration
	wg    sync.WaitGroup
	t     testing.TB
}

// openShop begins to work, until the test ends or close is called.
//
// What is there already is put in with a pause behind each job.
func openShop(t testing.TB, addr string, pause time.Duration) *shop {
	s := &shop{addr: addr, stop: make(chan struct{}), t: t, pause: pause}
	t.Cleanup(s.close)
	s.prepare()
	for i := range 3 {
		s.produce("emails", 45, uint64(i), func(r *rand.Rand) (string, uint32, time.Duration) {
			return fmt.Sprintf(`{"to":"%s@example.com","template":"order-shipped","order":%d,"lang":"%s"}`, name(r), 4000+r.IntN(900), pick(r, "en", "de", "fr", "pl")), 1024, 0
		})
	}
	s.produce("thumbnails", 60, 11, func(r *rand.Rand) (string, uint32, time.Duration) {
		return fmt.Sprintf(`{"image":"s3://uploads/%08x.jpg","sizes":[120,480,1200]}`, r.Uint32()), 1024, 0
	})
	s.produce("webhooks", 25, 12, func(r *rand.Rand) (string, uint32, time.Duration) {
		return fmt.Sprintf(`POST https://hooks.example.net/%s {"event":"paid","order":%d}`, name(r), 4000+r.IntN(900)), uint32(r.IntN(3)) * 512, time.Duration(r.IntN(2)) * 20 * time.Second
	})
	s.produce("search-index", 30, 13, func(r *rand.Rand) (string, uint32, time.Duration) {
		return fmt.Sprintf("product:%d", r.IntN(90_000)), 2048, 0
	})
	s.produce("invoices", 4, 14, func(r *rand.Rand) (string, uint32, time.Duration) {
		return fmt.Sprintf(`{"invoice":"2026-%05d","pages":%d}`, r.IntN(99999), 1+r.IntN(9)), 10, 0
	})
	s.produce("audit.log", 12, 15, func(r *rand.Rand) (string, uint32, time.Duration) {
		return fmt.Sprintf("%s signed in from 192.0.2.%d", name(r), r.IntN(255)), 1024, 0
	})
	for i := range 6 {
		s.work(uint64(i), 2, 30, "emails", "invoices")
	}
	for i := range 2 {
		s.work(uint64(20+i), 25, 0, "thumbnails") // too few
	}
	for i := range 4 {
		s.work(uint64(30+i), 8, 20, "webhooks", "search-index")
	}
	s.hold("renders")
	s.work(40, 20, 0, "audit.log")
	for i := range 3 {
		s.work(uint64(50+i), 5, 0, "newsletters")
	}
	return s
}

func (s *shop) close() {
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	s.wg.Wait()
}

// dial returns a connection, or nil if the shop closes or the server is away for
// long.
func (s *shop) dial() *beanstalk.Conn {
	for {
		if c, err := beanstalk.Dial("tcp", s.addr); err == nil {
			return c
		}
		if s.rest(100 * time.Millisecond) {
			return nil
		}
	}
}

// rest waits, and reports whether the shop closes.
func (s *shop) rest(d time.Duration) (closes bool) {
	select {
	case <-s.stop:
		return true
	case <-time.After(d):
		return false
	}
}

func name(r *rand.Rand) string {
	return pick(r, "ada", "grace", "edsger", "barbara", "ken", "dennis", "radia", "tony", "frances", "donald")
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// prepare puts what is there already.
func (s *shop) prepare() {
	c, err := beanstalk.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(1, 1))
	put := func(tube, body string, pri uint32, delay time.Duration) uint64 {
		id, err := beanstalk.NewTube(c, tube).Put([]byte(body), pri, delay, 5*time.Minute)
		if err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(s.pause)
		return id
	}
	bury := func(tube string, n int, body func(i int) string) {
		for i := range n {
			put(tube, body(i), 0, 0)
		}
		set := beanstalk.NewTubeSet(c, tube)
		for range n {
			id, _, err := set.Reserve(time.Second)
			if err == nil {
				err = c.Bury(id, 1024)
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
	}
	bury("emails", 36, func(i int) string {
		return fmt.Sprintf(`{"to":"%s@","template":"order-shipped","order":%d,"error":"550 no such mailbox"}`, name(r), 4000+i)
	})
	bury("webhooks", 520, func(i int) string {
		why := "timeout"
		if i%26 == 0 {
			why = "certificate expired"
		}
		return fmt.Sprintf(`{"url":"https://partner.example.org/in","order":%d,"error":"%s"}`, 4100+i, why)
	})
	for i := range 480 {
		put("reports", fmt.Sprintf(`{"report":"sales","region":%d,"order":"order-%d"}`, i%40, 4300+i), 4096, 0)
	}
	for i := range 1200 {
		put("newsletters", fmt.Sprintf("newsletter 47 to subscriber %d", i), 8192, time.Duration(1+i%8)*15*time.Minute)
	}
	for i := range 60 {
		put("thumbnails", fmt.Sprintf(`{"image":"s3://uploads/%08x.jpg","sizes":[120,480,1200]}`, i), 1024, 0)
	}
	for _, film := range []string{"order-4709", "order-4711", "order-4712"} {
		put("renders", fmt.Sprintf(`{"film":"%s.mp4","size":[1920,1080],"codec":"av1","subtitles":["en","de"],"notify":"ada@example.com"}`, film), 512, 0)
	}
	put("exports", "all orders of 2025", 0, 0)
	if err := beanstalk.NewTube(c, "exports").Pause(20 * time.Minute); err != nil {
		s.t.Fatal(err)
	}
}

// produce puts so many jobs a second.
func (s *shop) produce(tube string, rate int, seed uint64, job func(r *rand.Rand) (body string, pri uint32, delay time.Duration)) {
	s.wg.Go(func() {
		r := rand.New(rand.NewPCG(seed, 7))
		for c := s.dial(); c != nil; c = s.dial() {
			t := beanstalk.NewTube(c, tube)
			for {
				body, pri, delay := job(r)
				if _, err := t.Put([]byte(body), pri, delay, time.Minute); err != nil {
					break
				}
				if s.rest(time.Duration(float64(time.Second) / float64(rate) * (0.5 + r.Float64()))) {
					c.Close()
					return
				}
			}
			c.Close()
		}
	})
}

// hold reserves a job, and has it until the shop closes.
func (s *shop) hold(tube string) {
	s.wg.Go(func() {
		if c := s.dial(); c != nil {
			defer c.Close()
			_, _, _ = beanstalk.NewTubeSet(c, tube).Reserve(time.Second)
			<-s.stop
		}
	})
}

// work reserves and deletes jobs, each of which takes some milliseconds. One of
// trouble is not done: it is buried, released or forgotten.
func (s *shop) work(seed uint64, millis, trouble int, tubes ...string) {
	s.wg.Go(func() {
		r := rand.New(rand.NewPCG(seed, 9))
		for c := s.dial(); c != nil; c = s.dial() {
			set := beanstalk.NewTubeSet(c, tubes...)
			for {
				id, _, err := set.Reserve(time.Second)
				if ce, ok := errors.AsType[beanstalk.ConnError](err); ok && (ce.Err == beanstalk.ErrTimeout || ce.Err == beanstalk.ErrDeadline) {
					if s.rest(0) {
						c.Close()
						return
					}
					continue
				}
				if err != nil {
					break
				}
				if s.rest(time.Duration(millis) * time.Millisecond * time.Duration(50+r.IntN(200)) / 100) {
					c.Close()
					return
				}
				if trouble > 0 && r.IntN(trouble) == 0 {
					err = c.Release(id, 1024, 30*time.Second)
				} else {
					err = c.Delete(id)
				}
				if err != nil && !errors.Is(err, beanstalk.ErrNotFound) {
					break
				}
			}
			c.Close()
		}
	})
}
