document.querySelectorAll(".tune").forEach(tune=>{
  const audio=tune.querySelector("audio"),button=tune.querySelector(".play"),roll=tune.querySelector(".roll");
  if(!audio||!button||!roll)return;
  const svg=roll.querySelector("svg"),head=svg.querySelector(".head"),seconds=+svg.dataset.seconds;
  const notes=[...svg.querySelectorAll("rect[data-start]")];
  let frame=0;
  const draw=()=>{
    const now=audio.currentTime,x=now*100;
    head.setAttribute("x1",x);head.setAttribute("x2",x);
    head.style.visibility=now>0?"visible":"hidden";
    notes.forEach(n=>n.classList.toggle("on",!audio.paused&&+n.dataset.start<=now&&now<+n.dataset.end));
    const place=now/seconds*svg.clientWidth,middle=roll.clientWidth/2;
    if(!audio.paused){roll.scrollLeft=place-middle;frame=requestAnimationFrame(draw)}
  };
  button.addEventListener("click",()=>{
    if(audio.paused){
      document.querySelectorAll("audio").forEach(other=>{if(other!==audio)other.pause()});
      audio.play();
    }else audio.pause();
  });
  const seek=share=>{audio.currentTime=Math.max(0,Math.min(seconds,share*seconds));draw()};
  roll.addEventListener("click",event=>{
    const box=svg.getBoundingClientRect();
    seek((event.clientX-box.left)/box.width);
    if(audio.paused)button.click();
  });
  const show=()=>{
    const on=!audio.paused;
    button.classList.toggle("on",on);
    button.setAttribute("aria-label",on?"Pause":"Play");
    cancelAnimationFrame(frame);draw();
  };
  ["play","pause","seeked"].forEach(name=>audio.addEventListener(name,show));
  audio.addEventListener("ended",()=>{audio.currentTime=0;show()});
});
