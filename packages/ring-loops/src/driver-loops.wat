;; A driver's loops over rings: buffers of one descriptor each, added and taken back many at a time.
;;
;; Parameters named after a structure are byte offsets into the memory; all numbers are unsigned. $own has four words per
;; id: descriptors of the outstanding buffer, its device-writable bytes, its token, and for split rings the descriptor
;; that follows in the list of free ones. Nothing that is read from the ring is used before it was checked against that.
(module
  (memory (import "host" "memory") 0 65536 shared)

  ;; virtio 1.4 §2.7.5, §2.7.6. $words has four per buffer: address, length, token. The first $readable are for the device
  ;; to read, the others to write.
  ;; Returns the descriptor that is free next.
  (func (export "addSplit")
    (param $desc i32) (param $ring i32) (param $mask i32) (param $avail i32) (param $count i32) (param $readable i32)
    (param $words i32) (param $own i32) (param $order i32) (param $index i32)
    (result i32)
    (local $i i32) (local $at i32) (local $its i32) (local $slot i32) (local $bytes i32) (local $isRead i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
        (local.set $at (i32.add (local.get $desc) (i32.shl (local.get $index) (i32.const 4))))
        (local.set $its (i32.add (local.get $own) (i32.shl (local.get $index) (i32.const 4))))
        (local.set $bytes (i32.load offset=8 (local.get $words)))
        (local.set $isRead (i32.lt_u (local.get $i) (local.get $readable)))
        (i64.store (local.get $at) (i64.load (local.get $words)))
        (i32.store offset=8 (local.get $at) (local.get $bytes))
        (i32.store offset=12 (local.get $at) (select (i32.const 0) (i32.const 2) (local.get $isRead)))
        (i32.store (local.get $its) (i32.const 1))
        (i32.store offset=4 (local.get $its) (select (i32.const 0) (local.get $bytes) (local.get $isRead)))
        (i32.store offset=8 (local.get $its) (i32.load offset=12 (local.get $words)))
        (local.set $slot (i32.shl (i32.and (local.get $avail) (local.get $mask)) (i32.const 1)))
        (i32.store16 (i32.add (local.get $order) (local.get $slot)) (local.get $index))
        (i32.store16 (i32.add (local.get $ring) (local.get $slot)) (local.get $index))
        (local.set $index (i32.load offset=12 (local.get $its)))
        (local.set $words (i32.add (local.get $words) (i32.const 16)))
        (local.set $avail (i32.add (local.get $avail) (i32.const 1)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $index))

  ;; virtio 1.4 §2.7.8. The descriptors are appended to the list of free ones, whose last one was $tail; $state becomes
  ;; its new last one.
  (func (export "takeUsedSplit")
    (param $ring i32) (param $mask i32) (param $used i32) (param $max i32) (param $own i32) (param $tail i32)
    (param $token i32) (param $written i32) (param $outcome i32) (param $state i32)
    (result i32)
    (local $count i32) (local $at i32) (local $id i32) (local $bytes i32) (local $its i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $at (i32.add (local.get $ring)
          (i32.shl (i32.and (local.get $used) (local.get $mask)) (i32.const 3))))
        (local.set $id (i32.load (local.get $at)))
        (local.set $bytes (i32.load offset=4 (local.get $at)))
        (br_if $done (i32.gt_u (local.get $id) (local.get $mask)))
        (local.set $its (i32.add (local.get $own) (i32.shl (local.get $id) (i32.const 4))))
        (br_if $done (i32.ne (i32.load (local.get $its)) (i32.const 1)))
        (br_if $done (i32.gt_u (local.get $bytes) (i32.load offset=4 (local.get $its))))
        (i32.store (local.get $token) (i32.load offset=8 (local.get $its)))
        (i32.store (local.get $written) (local.get $bytes))
        (i32.store8 (local.get $outcome) (i32.const 0))
        (i32.store (local.get $its) (i32.const 0))
        (i32.store offset=12 (i32.add (local.get $own) (i32.shl (local.get $tail) (i32.const 4))) (local.get $id))
        (local.set $tail (local.get $id))
        (local.set $token (i32.add (local.get $token) (i32.const 4)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $outcome (i32.add (local.get $outcome) (i32.const 1)))
        (local.set $used (i32.add (local.get $used) (i32.const 1)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $state) (local.get $tail))
    (local.get $count))

  ;; virtio 1.4 §2.7.9: buffers that a later used element stands for, in the order that they were added.
  (func (export "takeSkippedSplit")
    (param $order i32) (param $mask i32) (param $used i32) (param $max i32) (param $own i32) (param $tail i32)
    (param $token i32) (param $written i32) (param $outcome i32) (param $state i32)
    (result i32)
    (local $count i32) (local $id i32) (local $its i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $id (i32.load16_u (i32.add (local.get $order)
          (i32.shl (i32.and (local.get $used) (local.get $mask)) (i32.const 1)))))
        (local.set $its (i32.add (local.get $own) (i32.shl (local.get $id) (i32.const 4))))
        (br_if $done (i32.ne (i32.load (local.get $its)) (i32.const 1)))
        (i32.store (local.get $token) (i32.load offset=8 (local.get $its)))
        (i32.store (local.get $written) (i32.load offset=4 (local.get $its)))
        (i32.store8 (local.get $outcome) (i32.const 0))
        (i32.store (local.get $its) (i32.const 0))
        (i32.store offset=12 (i32.add (local.get $own) (i32.shl (local.get $tail) (i32.const 4))) (local.get $id))
        (local.set $tail (local.get $id))
        (local.set $token (i32.add (local.get $token) (i32.const 4)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $outcome (i32.add (local.get $outcome) (i32.const 1)))
        (local.set $used (i32.add (local.get $used) (i32.const 1)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $state) (local.get $tail))
    (local.get $count))

  ;; virtio 1.4 §2.8.21. $marks is AVAIL or USED, as the wrap counter says; $slot is behind a descriptor that was not
  ;; published yet, so that none of these has to keep its flags back. $ids is a ring of free ids from $tail on.
  (func (export "addPacked")
    (param $desc i32) (param $size i32) (param $slot i32) (param $marks i32) (param $i i32) (param $count i32)
    (param $readable i32) (param $words i32) (param $own i32) (param $ids i32) (param $idMask i32) (param $tail i32)
    (local $id i32) (local $at i32) (local $its i32) (local $bytes i32) (local $isRead i32)
    (local.set $words (i32.add (local.get $words) (i32.shl (local.get $i) (i32.const 4))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
        (local.set $id (i32.load16_u (i32.add (local.get $ids)
          (i32.shl (i32.and (local.get $tail) (local.get $idMask)) (i32.const 1)))))
        (local.set $at (i32.add (local.get $desc) (i32.shl (local.get $slot) (i32.const 4))))
        (local.set $its (i32.add (local.get $own) (i32.shl (local.get $id) (i32.const 4))))
        (local.set $bytes (i32.load offset=8 (local.get $words)))
        (local.set $isRead (i32.lt_u (local.get $i) (local.get $readable)))
        (i64.store (local.get $at) (i64.load (local.get $words)))
        (i32.store offset=8 (local.get $at) (local.get $bytes))
        (i32.store offset=12 (local.get $at) (i32.or (local.get $id) (i32.shl
          (i32.or (local.get $marks) (select (i32.const 0) (i32.const 2) (local.get $isRead))) (i32.const 16))))
        (i32.store (local.get $its) (i32.const 1))
        (i32.store offset=4 (local.get $its) (select (i32.const 0) (local.get $bytes) (local.get $isRead)))
        (i32.store offset=8 (local.get $its) (i32.load offset=12 (local.get $words)))
        (local.set $words (i32.add (local.get $words) (i32.const 16)))
        (local.set $tail (i32.add (local.get $tail) (i32.const 1)))
        (local.set $slot (i32.add (local.get $slot) (i32.const 1)))
        (if (i32.eq (local.get $slot) (local.get $size)) (then
          (local.set $slot (i32.const 0))
          (local.set $marks (i32.xor (local.get $marks) (i32.const 0x8080)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))

  ;; virtio 1.4 §2.8.9. $max slots from $slot on are known to hold used descriptors, and the ring does not end between them.
  ;; A buffer that the device could not write has no length, whatever the descriptor says (§2.8.5).
  (func (export "takeUsedPacked")
    (param $desc i32) (param $slot i32) (param $max i32) (param $size i32)
    (param $own i32) (param $ids i32) (param $idMask i32) (param $head i32)
    (param $token i32) (param $written i32) (param $outcome i32)
    (result i32)
    (local $count i32) (local $at i32) (local $id i32) (local $bytes i32) (local $most i32) (local $its i32)
    (local.set $at (i32.add (local.get $desc) (i32.shl (local.get $slot) (i32.const 4))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $id (i32.load16_u offset=12 (local.get $at)))
        (local.set $bytes (i32.load offset=8 (local.get $at)))
        (br_if $done (i32.ge_u (local.get $id) (local.get $size)))
        (local.set $its (i32.add (local.get $own) (i32.shl (local.get $id) (i32.const 4))))
        (local.set $most (i32.load offset=4 (local.get $its)))
        (br_if $done (i32.ne (i32.load (local.get $its)) (i32.const 1)))
        (if (i32.gt_u (local.get $bytes) (local.get $most)) (then
          (br_if $done (local.get $most))
          (local.set $bytes (i32.const 0))))
        (i32.store (local.get $token) (i32.load offset=8 (local.get $its)))
        (i32.store (local.get $written) (local.get $bytes))
        (i32.store8 (local.get $outcome) (i32.const 0))
        (i32.store (local.get $its) (i32.const 0))
        (i32.store16 (i32.add (local.get $ids) (i32.shl
          (i32.and (i32.add (local.get $head) (local.get $size)) (local.get $idMask)) (i32.const 1))) (local.get $id))
        (local.set $token (i32.add (local.get $token) (i32.const 4)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $outcome (i32.add (local.get $outcome) (i32.const 1)))
        (local.set $head (i32.add (local.get $head) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))

  ;; virtio 1.4 §2.8.9, IN_ORDER: as takeSkippedSplit.
  (func (export "takeSkippedPacked")
    (param $max i32) (param $size i32) (param $own i32) (param $ids i32) (param $idMask i32) (param $head i32)
    (param $token i32) (param $written i32) (param $outcome i32)
    (result i32)
    (local $count i32) (local $id i32) (local $its i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $id (i32.load16_u (i32.add (local.get $ids)
          (i32.shl (i32.and (local.get $head) (local.get $idMask)) (i32.const 1)))))
        (local.set $its (i32.add (local.get $own) (i32.shl (local.get $id) (i32.const 4))))
        (br_if $done (i32.ne (i32.load (local.get $its)) (i32.const 1)))
        (i32.store (local.get $token) (i32.load offset=8 (local.get $its)))
        (i32.store (local.get $written) (i32.load offset=4 (local.get $its)))
        (i32.store8 (local.get $outcome) (i32.const 0))
        (i32.store (local.get $its) (i32.const 0))
        (i32.store16 (i32.add (local.get $ids) (i32.shl
          (i32.and (i32.add (local.get $head) (local.get $size)) (local.get $idMask)) (i32.const 1))) (local.get $id))
        (local.set $token (i32.add (local.get $token) (i32.const 4)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $outcome (i32.add (local.get $outcome) (i32.const 1)))
        (local.set $head (i32.add (local.get $head) (i32.const 1)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))
)
