#include "kernels/threads.h"

#include <system_error>

namespace edgebnn {

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::Run(int tasks, const std::function<void(int, int)>& body) {
  std::unique_lock<std::mutex> loop(loop_, std::defer_lock);
  if (threads_ == 1 || tasks == 1 || !loop.try_lock()) {
    for (int task = 0; task < tasks; ++task) body(0, task);
    return;
  }
  std::unique_lock<std::mutex> lock(mutex_);
  StartWorkers();
  body_ = &body;
  next_ = 0;
  tasks_ = tasks;
  ++round_;
  start_.notify_all();
  while (next_ < tasks_) {
    const int task = next_++;
    lock.unlock();
    body(0, task);
    lock.lock();
  }
  done_.wait(lock, [this] { return running_ == 0; });
  body_ = nullptr;
}

void ThreadPool::StartWorkers() {
  try {
    while (!short_of_threads_ && static_cast<int>(workers_.size()) < threads_ - 1) {
      workers_.emplace_back(&ThreadPool::Work, this, static_cast<int>(workers_.size()) + 1);
    }
  } catch (const std::system_error&) {
    short_of_threads_ = true;  // a limit on tasks; the loop is done by fewer
  }
}

void ThreadPool::Work(int thread) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (uint64_t seen = 0;;) {
    start_.wait(lock, [&] { return stop_ || (body_ != nullptr && round_ != seen); });
    if (stop_) return;
    seen = round_;
    ++running_;
    while (next_ < tasks_) {
      const int task = next_++;
      const auto& body = *body_;
      lock.unlock();
      body(thread, task);
      lock.lock();
    }
    if (--running_ == 0) done_.notify_one();
  }
}

}  // namespace edgebnn
