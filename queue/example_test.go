package queue_test

import (
	"fmt"
	"time"

	"spoked/queue"
)

// A worker waits, a producer puts a job that is to be done in an hour, and an
// hour passes in no time.
func Example() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	e := queue.New(now.UnixNano())

	worker := e.Connect()
	worker.Data = "worker"
	e.Watch(worker, []byte("mail"))
	_, outcome := e.Reserve(now.UnixNano(), worker, queue.Forever)
	fmt.Println("waiting:", outcome == queue.Waiting)

	producer := e.Connect()
	e.Use(producer, []byte("mail"))
	body := "to: ann"
	put, _ := e.Begin(now.UnixNano(), producer, 1024, time.Hour, time.Minute, uint32(len(body)))
	copy(e.Body(&put), body)
	id, err := e.Insert(now.UnixNano(), &put)
	fmt.Println("inserted:", id, err)

	now = now.Add(time.Hour)
	for e.Advance(now.UnixNano(), 1000) {
	}
	e.TakeWakes(func(w queue.Wake) {
		fmt.Printf("%v reserved: %d %q\n", w.Client.Data, w.Job.ID, w.Job.Body)
	})
	fmt.Println("deleted:", e.Delete(now.UnixNano(), worker, id))
	fmt.Println("left:", e.Stats().Jobs)

	// Output:
	// waiting: true
	// inserted: 1 <nil>
	// worker reserved: 1 "to: ann"
	// deleted: <nil>
	// left: [0 0 0 0]
}
