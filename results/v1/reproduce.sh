#!/bin/sh
# Every run of this board: plans them, or runs what is missing of them, below ./results. The records
# are there already: to make all anew, give another folder, OUT=/elsewhere.
#
#   export DERMBENCH_DATA=/data      # the folder in which the data sets lie, named as below
#   results/v1/reproduce.sh plan     # writes results/v1/sweeps/training.jsonl, a line for each run
#   results/v1/reproduce.sh run      # two at a time, one thread each; may be stopped and run again
#   results/v1/reproduce.sh explain  # scores the maps of the networks of the diagnosis table
#   results/v1/reproduce.sh raters   # agreement of the annotators, without any network
#
# One thread a run, for the number of threads changes the last digits of sums.
set -eu
out=${OUT:-results}
sweeps=$out/v1/sweeps
plan=$sweeps/training.jsonl

isic=isic2018:isic2018-task3                 # ISIC 2018 Task 3: 1,900 training and 600 test images
masks=isic2018:ham10000-lesion-masks         # 300 other images of HAM10000 with lesion masks
idrid=idrid:idrid-grading                    # IDRiD part B: 368 training and 79 test images
dermamnist=medmnist:dermamnist-rebuilt       # DermaMNIST, pixels made again from HAM10000

part() {
    name=$1
    shift
    python -m benchmark sweep plan --cpus 1 --out "$out" --plan "$sweeps/$name.jsonl" "$@"
    cat "$sweeps/$name.jsonl" >> "$plan"
    rm "$sweeps/$name.jsonl"
}

case ${1-} in
plan)
    mkdir -p "$sweeps"
    : > "$plan"
    # 139 px is the least at which all eleven have a map of 3x3 or more.
    part diagnosis --task diagnosis --arch all --framework all \
        --dataset "$isic" --image-size 139 --epochs 3
    part diagnosis-seeds --task diagnosis --arch MobileNet,MobileNetV2 --framework all --seeds 1-2 \
        --dataset "$isic" --image-size 139 --epochs 3
    part imbalance --task imbalance --arch MobileNetV2,EfficientNetB0 --seeds 0-2 --imbalance 50 \
        --method cross-entropy,class-weighted,focal,ldam-drw,balanced-softmax,logit-adjustment,crt,supercon \
        --dataset "$isic" --image-size 65 --epochs 8
    part grading --task grading --arch MobileNetV2 --seeds 0-2 \
        --method single-task,multi-task,distillation,sall \
        --dataset "$idrid" --image-size 96 --epochs 20
    part semi-supervised --task semi-supervised --arch MobileNetV2 --seeds 0-2 \
        --method supervised,pseudo-label,mean-teacher,fixmatch,crest,isdl,srcl-joint \
        --label-fractions 5,20,100 --dataset "$isic" --image-size 65 --epochs 6
    # The authors' own recipe but for the size: ours need 65 px for a map of 3x3. Their split leaks.
    part dermamnist --task diagnosis --arch MobileNetV2,timm:resnet18 --budget paper \
        --dataset "$dermamnist" --data-option file=dermamnist.npz --image-size 65 --allow-leaks
    ;;
run)
    python -m benchmark sweep run "$plan" --jobs 2 --out "$out"
    ;;
explain)
    # As they are: the rows of both tables are the same networks. At the size of their training.
    plan=$sweeps/explainability.jsonl
    : > "$plan"
    part explain --task explainability --method checkpoint --weights run:diagnosis/isic2018 \
        --arch all --framework all --dataset "$masks" --image-size 139
    part explain-seeds --task explainability --method checkpoint --weights run:diagnosis/isic2018 \
        --arch MobileNet,MobileNetV2 --framework all --seeds 1-2 --dataset "$masks" --image-size 139
    python -m benchmark sweep run "$plan" --jobs 2 --out "$out"
    ;;
raters)
    python -m benchmark raters --dataset dermxdb --data-dir dermxdb --out "$out"
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
